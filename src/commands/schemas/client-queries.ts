import { type Static, Type } from 'typebox';
import { Int64, Text } from './common.ts';
import { JobInfo, QAPI_JOB_TYPES } from './jobs.ts';

/* Answers to the queries that clients of QEMU send when they connect, named as in the QAPI schema. */

export const KvmInfo = Type.Object({ enabled: Type.Boolean(), present: Type.Boolean() });

/** SysEmuTarget of the QAPI schema. */
const TARGETS = [
  ...['aarch64', 'alpha', 'arm', 'avr', 'hppa', 'i386', 'loongarch64', 'm68k', 'microblaze', 'microblazeel', 'mips'],
  ...['mips64', 'mips64el', 'mipsel', 'or1k', 'ppc', 'ppc64', 'riscv32', 'riscv64', 'rx', 's390x', 'sh4', 'sh4eb'],
  ...['sparc', 'sparc64', 'tricore', 'x86_64', 'xtensa', 'xtensaeb'],
] as const;

const Target = Type.Enum([...TARGETS]);
export const TargetInfo = Type.Object({ arch: Target });

const optionalInt = () => Type.Optional(Int64());

export const CpuInstanceProperties = Type.Object({
  'node-id': optionalInt(),
  'drawer-id': optionalInt(),
  'book-id': optionalInt(),
  'socket-id': optionalInt(),
  'die-id': optionalInt(),
  'cluster-id': optionalInt(),
  'module-id': optionalInt(),
  'core-id': optionalInt(),
  'thread-id': optionalInt(),
});

const cpu = {
  'cpu-index': Int64(),
  'qom-path': Type.String(),
  'thread-id': Int64(),
  props: Type.Optional(CpuInstanceProperties),
};

const CpuInfoS390 = {
  'cpu-state': Type.Enum(['uninitialized', 'stopped', 'check-stop', 'operating', 'load']),
  dedicated: Type.Optional(Type.Boolean()),
  entitlement: Type.Optional(Type.Enum(['auto', 'low', 'medium', 'high'])),
};

const anyCpu = Type.Object({ ...cpu, target: Target });

/** The static type omits the members that only s390x has. */
const CpuInfoFast = Type.Unsafe<Static<typeof anyCpu>>(
  Type.Union(
    TARGETS.map((target) =>
      Type.Object({ ...cpu, target: Type.Literal(target), ...(target === 's390x' ? CpuInfoS390 : {}) }),
    ),
  ),
);
export const CpuInfoFastList = Type.Array(CpuInfoFast);

export const IOThreadInfoList = Type.Array(
  Type.Object({
    id: Type.String(),
    'thread-id': Int64(),
    'poll-max-ns': Int64(),
    'poll-grow': Int64(),
    'poll-shrink': Int64(),
    'aio-max-batch': Int64(),
  }),
);

export const MemoryInfo = Type.Object({ 'base-memory': Int64(), 'plugged-memory': optionalInt() });

export const ChardevInfoList = Type.Array(
  Type.Object({ label: Type.String(), filename: Type.String(), 'frontend-open': Type.Boolean() }),
);

/** BlockDeviceIoStatus of the QAPI schema. */
export const IoStatus = Type.Enum(['ok', 'failed', 'nospace']);

const blockJob = {
  device: Type.String(),
  len: Int64(),
  offset: Int64(),
  busy: Type.Boolean(),
  paused: Type.Boolean(),
  speed: Int64(),
  'io-status': IoStatus,
  ready: Type.Boolean(),
  status: JobInfo.properties.status,
  'auto-finalize': Type.Boolean(),
  'auto-dismiss': Type.Boolean(),
  error: Type.Optional(Type.String()),
};

export const BlockJobInfoList = Type.Array(
  Type.Union(
    QAPI_JOB_TYPES.map((type) =>
      Type.Object({
        type: Type.Literal(type),
        ...blockJob,
        ...(type === 'mirror' ? { 'actively-synced': Type.Boolean() } : {}),
      }),
    ),
  ),
);

/* Answers to queries about possible machine types, CPUs and devices, named as in the QAPI schema. */

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
  { option: Type.Optional(Text('Name of an option.')) },
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

/** Members of each type of memory device. The machines of vmferry have no memory devices. */
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

/** The static type omits the members that only some device types have. */
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
