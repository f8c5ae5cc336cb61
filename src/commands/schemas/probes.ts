import { type Static, Type } from 'typebox';
import { CpuInstanceProperties } from './clients.ts';
import { Int64, Text } from './common.ts';

/* Answers to the questions of what a machine may be made of, named as in the QAPI schema. */

const optionalText = () => Type.Optional(Type.String());
const UNSTABLE = { 'x-features': ['unstable'] };

export const QueryMachinesArguments = Type.Object(
  { 'compat-props': Type.Optional(Type.Boolean(UNSTABLE)) },
  { additionalProperties: false },
);

const CompatProperty = Type.Object({ 'qom-type': Type.String(), property: Type.String(), value: Type.String() });

export const MachineInfoList = Type.Array(
  Type.Object({
    name: Type.String(),
    alias: optionalText(),
    'is-default': Type.Optional(Type.Boolean()),
    'cpu-max': Int64(),
    'hotpluggable-cpus': Type.Boolean(),
    'numa-mem-supported': Type.Boolean(),
    deprecated: Type.Boolean(),
    'default-cpu-type': optionalText(),
    'default-ram-id': optionalText(),
    acpi: Type.Boolean(),
    'compat-props': Type.Optional(Type.Array(CompatProperty, UNSTABLE)),
  }),
);

export const CurrentMachineParams = Type.Object({ 'wakeup-suspend-support': Type.Boolean() });

export const CpuDefinitionInfoList = Type.Array(
  Type.Object({
    name: Type.String(),
    'migration-safe': Type.Optional(Type.Boolean()),
    static: Type.Boolean(),
    'unavailable-features': Type.Optional(Type.Array(Type.String())),
    typename: Type.String(),
    'alias-of': optionalText(),
    deprecated: Type.Boolean(),
  }),
);

export const HotpluggableCpuList = Type.Array(
  Type.Object({
    type: Type.String(),
    'vcpus-count': Int64(),
    props: CpuInstanceProperties,
    'qom-path': optionalText(),
  }),
);

export const CommandLineArguments = Type.Object(
  { option: Type.Optional(Text('Name of one option.')) },
  { additionalProperties: false },
);

export const CommandLineOptionInfoList = Type.Array(
  Type.Object({
    option: Type.String(),
    parameters: Type.Array(
      Type.Object({
        name: Type.String(),
        type: Type.Enum(['string', 'boolean', 'number', 'size']),
        help: optionalText(),
        default: optionalText(),
      }),
    ),
  }),
);

export const BalloonInfo = Type.Object({ actual: Int64() });

const dimm = {
  id: optionalText(),
  addr: Int64(),
  size: Int64(),
  slot: Int64(),
  node: Int64(),
  memdev: Type.String(),
  hotplugged: Type.Boolean(),
  hotpluggable: Type.Boolean(),
};

/** What each type of memory device has; no machine here has one. */
const MEMORY_DEVICES = {
  dimm,
  nvdimm: dimm,
  'virtio-pmem': { id: optionalText(), memaddr: Int64(), size: Int64(), memdev: Type.String() },
  'virtio-mem': {
    id: optionalText(),
    memaddr: Int64(),
    'requested-size': Int64(),
    size: Int64(),
    'max-size': Int64(),
    'block-size': Int64(),
    node: Int64(),
    memdev: Type.String(),
  },
  'sgx-epc': { id: optionalText(), memaddr: Int64(), size: Int64(), node: Int64(), memdev: Type.String() },
  'hv-balloon': {
    id: optionalText(),
    memaddr: Type.Optional(Int64()),
    'max-size': Int64(),
    memdev: optionalText(),
  },
};

const anyDevice = Type.Object({ type: Type.String() });

/** The static type leaves out what only some types have. */
const MemoryDeviceInfo = Type.Unsafe<Static<typeof anyDevice>>(
  Type.Union(
    Object.entries(MEMORY_DEVICES).map(([type, data]) =>
      Type.Object({ type: Type.Literal(type), data: Type.Object(data) }),
    ),
  ),
);
export const MemoryDeviceInfoList = Type.Array(MemoryDeviceInfo);

export const PRManagerInfoList = Type.Array(Type.Object({ id: Type.String(), connected: Type.Boolean() }));

export const TpmModelList = Type.Array(Type.Enum(['tpm-tis', 'tpm-crb', 'tpm-spapr']));
export const TpmTypeList = Type.Array(Type.Enum(['passthrough', 'emulator']));
