import { Type } from 'typebox';
import { QMP_CLASSES } from '../command.ts';
import { Int64, Text, Uuid } from './common.ts';

/* Information about the service itself, with types named as in the QAPI schema. */

const closed = { additionalProperties: false } as const;

export const NameInfo = Type.Object({ name: Type.Optional(Type.String()) });
export const UuidInfo = Type.Object({ UUID: Uuid() });

const VersionTriple = Type.Object({ major: Int64(), minor: Int64(), micro: Int64() });
export const VersionInfo = Type.Object({ qemu: VersionTriple, package: Type.String() });

export const CommandInfoList = Type.Array(Type.Object({ name: Type.String() }));

export const QMPCapability = Type.Enum(['oob']);
export const QmpCapabilitiesArguments = Type.Object(
  { enable: Type.Optional(Type.Array(QMPCapability, { maxItems: 256 })) },
  closed,
);

/** A line of the text monitor may be longer than other texts, because it can contain several addresses. */
const LINE_LENGTH_MAX = 65_536;

export const HumanMonitorCommandArguments = Type.Object(
  {
    'command-line': Type.String({ maxLength: LINE_LENGTH_MAX }),
    'cpu-index': Type.Optional(Int64({ description: 'A vCPU. No command of this monitor uses it.' })),
  },
  closed,
);
export const MonitorText = Type.String({ description: 'The output that a terminal would show.' });

const base = { name: Type.String(), features: Type.Optional(Type.Array(Type.String())) };
const meta = <const M extends string>(name: M) => ({ 'meta-type': Type.Literal(name) });

const JSONType = Type.Enum(['string', 'number', 'int', 'boolean', 'null', 'object', 'array', 'value']);
const features = Type.Optional(Type.Array(Type.String()));
const EnumMember = Type.Object({ name: Type.String(), features });
const ObjectMember = Type.Object({
  name: Type.String(),
  type: Type.String(),
  default: Type.Optional(Type.Unknown()),
  features,
});
const Variant = Type.Object({ case: Type.String(), type: Type.String() });
const AlternateMember = Type.Object({ type: Type.String() });

/** One entity of query-qmp-schema. */
export const SchemaInfo = Type.Union([
  Type.Object({ ...base, ...meta('builtin'), 'json-type': JSONType }),
  Type.Object({
    ...base,
    ...meta('enum'),
    members: Type.Array(EnumMember),
    values: Type.Array(Type.String(), { 'x-features': ['deprecated'] }),
  }),
  Type.Object({ ...base, ...meta('array'), 'element-type': Type.String() }),
  Type.Object({
    ...base,
    ...meta('object'),
    members: Type.Array(ObjectMember),
    tag: Type.Optional(Type.String()),
    variants: Type.Optional(Type.Array(Variant)),
  }),
  Type.Object({ ...base, ...meta('alternate'), members: Type.Array(AlternateMember) }),
  Type.Object({
    ...base,
    ...meta('command'),
    'arg-type': Type.String(),
    'ret-type': Type.String(),
    'allow-oob': Type.Optional(Type.Boolean()),
  }),
  Type.Object({ ...base, ...meta('event'), 'arg-type': Type.String() }),
]);
export const SchemaInfoList = Type.Array(SchemaInfo);

/** The body of POST /qmp. */
export const QmpEnvelope = Type.Object(
  {
    execute: Type.String({ description: 'Name of a command.' }),
    arguments: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    id: Type.Optional(Type.Unknown({ description: 'Any value. The answer contains the same value.' })),
  },
  closed,
);
export const QmpAnswer = Type.Object({
  return: Type.Optional(Type.Unknown({ description: "The command's result." })),
  id: Type.Optional(Type.Unknown()),
  error: Type.Optional(Type.Object({ class: Type.Enum([...QMP_CLASSES]), desc: Type.String() })),
});

export const DescriptorArguments = Type.Object(
  { fdname: Text('Name of the descriptor. It must not begin with a digit.') },
  { additionalProperties: false },
);

export const AddFdArguments = Type.Object(
  {
    'fdset-id': Type.Optional(
      Int64({ description: 'Number of the set. Default: the lowest number from 0 on that no set has.' }),
    ),
    opaque: Type.Optional(Text('A text that query-fdsets shows.')),
  },
  { additionalProperties: false },
);

export const AddfdInfo = Type.Object({ 'fdset-id': Int64(), fd: Int64() });

export const RemoveFdArguments = Type.Object(
  {
    'fdset-id': Int64({ description: 'Number of the set.' }),
    fd: Type.Optional(Int64({ description: 'One descriptor of the set. Default: all descriptors.' })),
  },
  { additionalProperties: false },
);

export const FdsetInfoList = Type.Array(
  Type.Object({
    'fdset-id': Int64(),
    fds: Type.Array(Type.Object({ fd: Int64(), opaque: Type.Optional(Type.String()) })),
  }),
);
