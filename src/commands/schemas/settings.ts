import { type TOptional, type TSchema, Type } from 'typebox';
import type { Feature, IntegerDeclaration, ParameterDeclaration } from '../../domain/settings/declaration.ts';
import { capabilityDeclaration, parameterDeclaration } from '../../domain/settings/declared-settings.ts';
import { CAPABILITIES, PARAMETER_NAMES, type ParameterName } from '../../domain/settings/schema-order.ts';
import { Int64, Text } from './common.ts';

/*
 * Capabilities and parameters as types of the QAPI schema, derived from the declarations of the domain. These types have no
 * ranges: the domain checks ranges together with its rules.
 */

const LIST_MAX = 256;
const closed = { additionalProperties: false } as const;

export const MigrationCapability = Type.Unsafe<string>({
  type: 'string',
  enum: [...CAPABILITIES],
  'x-refused-as': 'unknown_capability',
  'x-value-features': Object.fromEntries(
    CAPABILITIES.flatMap((name) => {
      const { features } = capabilityDeclaration(name);
      return features === undefined ? [] : [[name, [...features]]];
    }),
  ),
});

export const MigrationCapabilityStatus = Type.Object(
  { capability: MigrationCapability, state: Type.Boolean() },
  closed,
);

export const MigrationCapabilityStatusList = Type.Array(MigrationCapabilityStatus, { maxItems: LIST_MAX });

export const MigrateSetCapabilitiesArguments = Type.Object({ capabilities: MigrationCapabilityStatusList }, closed);

export const BitmapMigrationBitmapAliasTransform = Type.Object({ persistent: Type.Optional(Type.Boolean()) }, closed);

export const BitmapMigrationBitmapAlias = Type.Object(
  { name: Text(), alias: Text(), transform: Type.Optional(BitmapMigrationBitmapAliasTransform) },
  closed,
);

export const BitmapMigrationNodeAlias = Type.Object(
  { 'node-name': Text(), alias: Text(), bitmaps: Type.Array(BitmapMigrationBitmapAlias, { maxItems: LIST_MAX }) },
  closed,
);

/** The enumerations of the parameters by their names in the QAPI schema. */
export const PARAMETER_ENUMERATIONS: Readonly<Record<string, TSchema>> = Object.fromEntries(
  PARAMETER_NAMES.map(parameterDeclaration).flatMap((declaration) =>
    declaration.type === 'enum' ? [[declaration.typeName, Type.Enum([...declaration.values])]] : [],
  ),
);

const UNIT_TEXTS: Readonly<Record<string, string>> = { ms: 'Milliseconds.', '%': 'Percent.', bytes: 'Bytes.' };

type Options = { readonly description?: string; readonly 'x-features'?: readonly Feature[] };

function schemaOf(declaration: ParameterDeclaration, stringOrNull: TSchema): TSchema {
  switch (declaration.type) {
    case 'bool':
      return Type.Boolean();
    case 'string-or-null':
      return stringOrNull;
    case 'enum':
      return Type.Enum([...declaration.values]);
    case 'bitmap-mapping':
      return Type.Array(BitmapMigrationNodeAlias, { maxItems: LIST_MAX });
    default:
      return Int64(optionsOf(declaration));
  }
}

function optionsOf({ description, unit, features }: IntegerDeclaration): Options {
  const text = description ?? UNIT_TEXTS[unit ?? ''];
  return {
    ...(text === undefined ? {} : { description: text }),
    ...(features === undefined ? {} : { 'x-features': features }),
  };
}

/** Every parameter as an optional member. As in QEMU's schema of a change, parameters that can be null come last. */
function membersOf(stringOrNull: TSchema): Record<ParameterName, TOptional<TSchema>> {
  const isNullable = (name: ParameterName) => parameterDeclaration(name).type === 'string-or-null';
  const names = [...PARAMETER_NAMES.filter((name) => !isNullable(name)), ...PARAMETER_NAMES.filter(isNullable)];
  const members = names.map((name) => [name, Type.Optional(schemaOf(parameterDeclaration(name), stringOrNull))]);
  return Object.fromEntries(members) as Record<ParameterName, TOptional<TSchema>>;
}

/** The answer of query-migrate-parameters. */
export const MigrationParameters = Type.Object(membersOf(Type.String()));

/** A change of parameters. Omitted parameters keep their values. */
export const MigrateSetParameters = Type.Object(membersOf(Type.Union([Text(), Type.Null()])), closed);

/* Arguments and results of commands of older schemas. */

export const SizeArguments = Type.Object({ value: Int64({ description: 'Bytes, or bytes per second.' }) }, closed);

export const DowntimeArguments = Type.Object(
  { value: Type.Unsafe<unknown>({ type: 'number', description: 'Seconds; a fraction is allowed.' }) },
  closed,
);

/* Blockers: reasons that forbid outgoing migrations. */

const REASON_LENGTH_MAX = 1024;

export const Blocker = Type.Object({ id: Type.String(), reason: Type.String() });
export const BlockerList = Type.Object({
  blockers: Type.Array(Blocker),
  'only-migratable': Type.Boolean({
    description: 'True if the service was started with --only-migratable. Then no blocker can be added.',
  }),
});

export const BlockerAddArguments = Type.Object(
  { reason: Type.String({ minLength: 1, maxLength: REASON_LENGTH_MAX }) },
  { additionalProperties: false },
);

export const BlockerId = Type.Object({ id: Text('Identifier of a blocker.') }, { additionalProperties: false });
