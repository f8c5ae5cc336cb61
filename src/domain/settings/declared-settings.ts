import type {
  CapabilityDeclaration,
  CapabilityRule,
  FigureDeclaration,
  MigrationTime,
  ParameterDeclaration,
  ParameterRule,
  ParameterValue,
} from './declaration.ts';
import { MODES } from './groups/modes-group.ts';
import { MULTIFD } from './groups/multifd-group.ts';
import { POSTCOPY } from './groups/postcopy-group.ts';
import { PRECOPY } from './groups/precopy-group.ts';
import { STORAGE } from './groups/storage-group.ts';
import { SWITCHOVER } from './groups/switchover-group.ts';
import { THROTTLE } from './groups/throttle-group.ts';
import { TLS } from './groups/tls-group.ts';
import { XBZRLE } from './groups/xbzrle-group.ts';
import {
  CAPABILITIES,
  type Capability,
  type FigureName,
  PARAMETER_NAMES,
  type ParameterName,
  RULE_ORDER,
} from './schema-order.ts';

/*
 * All groups together. The compiler refuses a name of schema-order.ts that no group declares, and a declaration that
 * schema-order.ts does not name. Each worker of the engine loads this file at its start: it imports declarations only.
 */

export const PARAMETERS = {
  ...PRECOPY.parameters,
  ...SWITCHOVER.parameters,
  ...THROTTLE.parameters,
  ...MULTIFD.parameters,
  ...XBZRLE.parameters,
  ...STORAGE.parameters,
  ...TLS.parameters,
  ...POSTCOPY.parameters,
  ...MODES.parameters,
} as const satisfies Readonly<Record<ParameterName, ParameterDeclaration>>;

const CAPABILITY_DECLARATIONS: Readonly<Record<Capability, CapabilityDeclaration>> = {
  ...PRECOPY.capabilities,
  ...SWITCHOVER.capabilities,
  ...THROTTLE.capabilities,
  ...MULTIFD.capabilities,
  ...XBZRLE.capabilities,
  ...STORAGE.capabilities,
  ...TLS.capabilities,
  ...POSTCOPY.capabilities,
  ...MODES.capabilities,
};

const FIGURES = {
  ...PRECOPY.figures,
  ...SWITCHOVER.figures,
  ...THROTTLE.figures,
  ...MULTIFD.figures,
  ...XBZRLE.figures,
  ...POSTCOPY.figures,
} as const satisfies Readonly<Record<FigureName, FigureDeclaration>>;

/** The declaration of a parameter. */
export function parameterDeclaration(name: ParameterName): ParameterDeclaration {
  return PARAMETERS[name];
}

/** The declaration of a capability. */
export function capabilityDeclaration(name: Capability): CapabilityDeclaration {
  return CAPABILITY_DECLARATIONS[name];
}

/** The declaration of a figure of query-migrate. */
export function figureDeclaration(name: FigureName): FigureDeclaration<FigureCell> {
  return FIGURES[name];
}

/** True if `name` is a capability. */
export function isCapability(name: string): name is Capability {
  return Object.hasOwn(CAPABILITY_DECLARATIONS, name);
}

/** True if `name` is a parameter. */
export function isParameter(name: string): name is ParameterName {
  return Object.hasOwn(PARAMETERS, name);
}

/** The values of a machine on which nothing was ever set. */
export function defaultParameters(): Map<ParameterName, ParameterValue> {
  const values = new Map<ParameterName, ParameterValue>();
  for (const name of PARAMETER_NAMES) {
    const initial: ParameterValue | null = parameterDeclaration(name).default;
    if (initial !== null) values.set(name, initial);
  }
  return values;
}

/** The rules of all capabilities, in the order in which broken rules are reported. */
export const CAPABILITY_RULES: readonly CapabilityRule[] = [
  ...RULE_ORDER,
  ...CAPABILITIES.filter((name) => !RULE_ORDER.includes(name)),
].flatMap((name) => capabilityDeclaration(name).rules ?? []);

/** The rules of all parameters, in the order in which broken rules are reported. */
export const PARAMETER_RULES: readonly ParameterRule[] = PARAMETER_NAMES.flatMap(
  (name) => parameterDeclaration(name).rules ?? [],
);

/** The capabilities that this version refuses to switch on. */
export const CAPABILITIES_NOT_AVAILABLE: readonly Capability[] = CAPABILITIES.filter(
  (name) => !capabilityDeclaration(name).isAvailable,
);

/** The parameters of which this version can use only some values. */
export const PARAMETERS_NOT_AVAILABLE: readonly {
  readonly name: ParameterName;
  readonly available: readonly ParameterValue[];
}[] = PARAMETER_NAMES.flatMap((name) => {
  const { available } = parameterDeclaration(name);
  return available === undefined ? [] : [{ name, available }];
});

type IfLive<N extends ParameterName> = (typeof PARAMETERS)[N] extends { readonly isLive: true } ? N : never;

/** The parameters that a migration obeys while it runs. */
export type LiveParameter = { [N in ParameterName]: IfLive<N> }[ParameterName];

/** Values of the live parameters. Integers are clamped to 2^53 - 1. */
export type LiveParameters = {
  readonly [N in LiveParameter]: (typeof PARAMETERS)[N] extends { readonly type: 'bool' } ? boolean : number;
};

/** The live parameters, in the order of their cells in shared memory. */
export const LIVE_PARAMETERS: readonly LiveParameter[] = PARAMETER_NAMES.filter(isLive);

function isLive(name: ParameterName): name is LiveParameter {
  return parameterDeclaration(name).isLive === true;
}

/** Figures that query-migrate does not show: bytes/s of the last window, and bytes that the newest sync found dirty. */
const OTHER_CELLS = ['bandwidth', 'dirtyBytesAtSync'] as const;

type FigureCellOf<F> = F extends { readonly cell: infer C extends string } ? C : never;

/** A cell in shared memory that holds a figure of a migration. */
export type FigureCell = FigureCellOf<(typeof FIGURES)[FigureName]> | (typeof OTHER_CELLS)[number];

/** The cells of all figures, in their order in shared memory. */
export const FIGURE_CELLS: readonly FigureCell[] = [
  ...new Set([...Object.values(FIGURES).flatMap((figure) => ('cell' in figure ? [figure.cell] : [])), ...OTHER_CELLS]),
];

/** The cells that hold thousandths. */
export const FRACTION_CELLS: ReadonlySet<FigureCell> = new Set(
  Object.values(FIGURES).flatMap((figure) => ('isFraction' in figure ? [figure.cell] : [])),
);

/**
 * Figures of a migration. All numbers are exact below 2^53. Times are counted by the monotonic clock and are 0 until
 * the migration has begun. `revision` grows with every visible change.
 */
export type MigrationFigures = Readonly<Record<'revision' | MigrationTime | FigureCell, number>>;

/** MigrationCapabilityStatus of the QAPI schema. */
export type CapabilityStatus = { readonly capability: string; readonly state: boolean };

/** MigrationParameters of the QAPI schema. */
export type MigrationParameters = Readonly<Record<string, number | bigint | string | boolean | readonly unknown[]>>;
