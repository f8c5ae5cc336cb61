import { Type } from 'typebox';
import { DIRTY_RATE_MODES, DIRTY_RATE_STATUSES, TIME_UNITS } from '../../domain/dirty/dirty-types.ts';
import { Int64 } from './common.ts';

/* Types of the QAPI schema for dirty rates, dirty limits of vCPUs, and migration threads. */

const closed = { additionalProperties: false } as const;

export const TimeUnit = Type.Enum([...TIME_UNITS]);
export const DirtyRateMeasureMode = Type.Enum([...DIRTY_RATE_MODES]);
export const DirtyRateStatus = Type.Enum([...DIRTY_RATE_STATUSES]);

export const CalcDirtyRateArguments = Type.Object(
  {
    'calc-time': Int64({ description: 'Duration of the measurement in calc-time-unit, from 50 ms to 60 s.' }),
    'calc-time-unit': Type.Optional(TimeUnit),
    'sample-pages': Type.Optional(
      Int64({
        description: 'Number of sampled pages per GiB, from 128 to 16384. Only with mode page-sampling. Default: 512.',
      }),
    ),
    mode: Type.Optional(DirtyRateMeasureMode),
  },
  closed,
);

export const QueryDirtyRateArguments = Type.Object({ 'calc-time-unit': Type.Optional(TimeUnit) }, closed);

export const DirtyRateVcpu = Type.Object({ id: Int64(), 'dirty-rate': Int64({ description: 'Dirty rate in MiB/s.' }) });

export const DirtyRateInfo = Type.Object({
  'dirty-rate': Type.Optional(Int64({ description: 'Dirty rate in MiB/s; absent until the measurement has ended.' })),
  status: DirtyRateStatus,
  'start-time': Int64({
    description: 'Start of the measurement in seconds since 1970; 0 before the first measurement.',
  }),
  'calc-time': Int64({
    description:
      'Duration of the measurement in calc-time-unit, rounded down: the requested one while it runs, then the actual one.',
  }),
  'calc-time-unit': TimeUnit,
  'sample-pages': Int64({ description: 'Number of sampled pages per GiB; 0 after a measurement in another mode.' }),
  mode: DirtyRateMeasureMode,
  'vcpu-dirty-rate': Type.Optional(
    Type.Array(DirtyRateVcpu, { description: 'Dirty rate of each vCPU; only in mode dirty-ring.' }),
  ),
});

const CpuIndex = Type.Optional(Int64({ description: 'Index of the vCPU. Default: all vCPUs.' }));
/** A negative rate is refused. QEMU would read it modulo 2^64. */
const Rate = Type.Unsafe<number | bigint>({
  type: 'integer',
  format: 'int64',
  minimum: 0,
  description: 'Limit in MiB/s; 0 removes the limit.',
});

export const SetVcpuDirtyLimitArguments = Type.Object({ 'cpu-index': CpuIndex, 'dirty-rate': Rate }, closed);
export const CancelVcpuDirtyLimitArguments = Type.Object({ 'cpu-index': CpuIndex }, closed);
export const QueryVcpuDirtyLimitArguments = Type.Object({ 'cpu-index': CpuIndex }, closed);

export const DirtyLimitInfo = Type.Object({
  'cpu-index': Int64(),
  'limit-rate': Int64({ description: 'Limit in MiB/s.' }),
  'current-rate': Int64({ description: 'Dirty rate in MiB/s during about the last second.' }),
});
export const DirtyLimitInfoList = Type.Array(DirtyLimitInfo);

export const MigrationThreadInfo = Type.Object({
  name: Type.String(),
  'thread-id': Int64({ description: 'Thread id of the operating system.' }),
});
export const MigrationThreadInfoList = Type.Array(MigrationThreadInfo);
