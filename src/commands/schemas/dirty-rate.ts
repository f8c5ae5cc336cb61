import { Type } from 'typebox';
import { DIRTY_RATE_MODES, DIRTY_RATE_STATUSES, TIME_UNITS } from '../../domain/dirty/dirty.ts';
import { Int64 } from './common.ts';

/* Types of the QAPI schema around dirty rates, limits of vCPUs and migration threads. */

const closed = { additionalProperties: false } as const;

export const TimeUnit = Type.Enum([...TIME_UNITS]);
export const DirtyRateMeasureMode = Type.Enum([...DIRTY_RATE_MODES]);
export const DirtyRateStatus = Type.Enum([...DIRTY_RATE_STATUSES]);

export const CalcDirtyRateArguments = Type.Object(
  {
    'calc-time': Int64({ description: 'How long to measure, in calc-time-unit: 50 ms to 60 s.' }),
    'calc-time-unit': Type.Optional(TimeUnit),
    'sample-pages': Type.Optional(
      Int64({ description: 'Pages looked at for each GiB, 128 to 16384; with page-sampling only. Default: 512.' }),
    ),
    mode: Type.Optional(DirtyRateMeasureMode),
  },
  closed,
);

export const QueryDirtyRateArguments = Type.Object({ 'calc-time-unit': Type.Optional(TimeUnit) }, closed);

export const DirtyRateVcpu = Type.Object({ id: Int64(), 'dirty-rate': Int64({ description: 'MiB/s.' }) });

export const DirtyRateInfo = Type.Object({
  'dirty-rate': Type.Optional(Int64({ description: 'MiB/s; once it is measured.' })),
  status: DirtyRateStatus,
  'start-time': Int64({ description: 'Seconds since 1970; 0 before the first measurement.' }),
  'calc-time': Int64({ description: 'How long is measured, or really was, in calc-time-unit, rounded down.' }),
  'calc-time-unit': TimeUnit,
  'sample-pages': Int64({ description: 'Pages looked at for each GiB; 0 once measured in another mode.' }),
  mode: DirtyRateMeasureMode,
  'vcpu-dirty-rate': Type.Optional(Type.Array(DirtyRateVcpu, { description: 'In mode dirty-ring.' })),
});

const CpuIndex = Type.Optional(Int64({ description: 'Default: all vCPUs.' }));
/** A negative one is refused, and not read modulo 2^64 as by QEMU. */
const Rate = Type.Unsafe<number | bigint>({
  type: 'integer',
  format: 'int64',
  minimum: 0,
  description: 'MiB/s; 0 takes a limit away.',
});

export const SetVcpuDirtyLimitArguments = Type.Object({ 'cpu-index': CpuIndex, 'dirty-rate': Rate }, closed);
export const CancelVcpuDirtyLimitArguments = Type.Object({ 'cpu-index': CpuIndex }, closed);
export const QueryVcpuDirtyLimitArguments = Type.Object({ 'cpu-index': CpuIndex }, closed);

export const DirtyLimitInfo = Type.Object({
  'cpu-index': Int64(),
  'limit-rate': Int64({ description: 'MiB/s.' }),
  'current-rate': Int64({ description: 'MiB/s, over about the last second.' }),
});
export const DirtyLimitInfoList = Type.Array(DirtyLimitInfo);

export const MigrationThreadInfo = Type.Object({
  name: Type.String(),
  'thread-id': Int64({ description: 'As the operating system counts.' }),
});
export const MigrationThreadInfoList = Type.Array(MigrationThreadInfo);
