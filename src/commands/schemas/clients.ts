import { type Static, Type } from 'typebox';
import { Int64 } from './common.ts';
import { JobInfo, QAPI_JOB_TYPES } from './jobs.ts';

/* Answers to the questions that clients written for QEMU ask when they connect, named as in the QAPI schema. */

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

/** The static type leaves out what only s390x has. */
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
