import type { DirtyRateMode } from '../ports/hypervisor.ts';

/* Dirty rates and limits: types of the QAPI schema, which every client interface uses. */

/** DirtyRateInfo's status. */
export const DIRTY_RATE_STATUSES = ['unstarted', 'measuring', 'measured'] as const;
export type DirtyRateStatus = (typeof DIRTY_RATE_STATUSES)[number];

export const DIRTY_RATE_MODES = ['page-sampling', 'dirty-ring', 'dirty-bitmap'] as const satisfies DirtyRateMode[];

export const TIME_UNITS = ['second', 'millisecond'] as const;
export type TimeUnit = (typeof TIME_UNITS)[number];

export type CalcDirtyRateArguments = {
  readonly 'calc-time': number | bigint;
  readonly 'calc-time-unit'?: TimeUnit;
  readonly 'sample-pages'?: number | bigint;
  readonly mode?: DirtyRateMode;
};

/** Rates in MiB/s, start-time in seconds since 1970. */
export type DirtyRateInfo = {
  readonly 'dirty-rate'?: number;
  readonly status: DirtyRateStatus;
  readonly 'start-time': number;
  readonly 'calc-time': number;
  readonly 'calc-time-unit': TimeUnit;
  readonly 'sample-pages': number;
  readonly mode: DirtyRateMode;
  readonly 'vcpu-dirty-rate'?: readonly { readonly id: number; readonly 'dirty-rate': number }[];
};

/** The limit of one vCPU; rates in MiB/s. */
export type DirtyLimitInfo = {
  readonly 'cpu-index': number;
  readonly 'limit-rate': number | bigint;
  readonly 'current-rate': number;
};

export interface DirtyUseCases {
  /** Starts a measurement. */
  calcDirtyRate(arguments_: CalcDirtyRateArguments): void;
  /** Throws the error that `calcDirtyRate` would throw for these members, whose values may have any type. */
  checkCalcDirtyRate(members: Readonly<Record<string, unknown>>): void;
  queryDirtyRate(unit?: TimeUnit): DirtyRateInfo;
  /** Resolves when no measurement is running, or after `timeoutMs`, or when `signal` aborts. */
  dirtyRateMeasured(timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** @param rate MiB/s; 0 removes the limit. @param cpuIndex Default: all. */
  setVcpuDirtyLimit(rate: number | bigint, cpuIndex?: number | bigint): void;
  cancelVcpuDirtyLimit(cpuIndex?: number | bigint): void;
  /** The limits of limited vCPUs. @param cpuIndex Default: all. */
  queryVcpuDirtyLimit(cpuIndex?: number | bigint): readonly DirtyLimitInfo[];
}
