import type { DirtyUseCases } from './dirty.ts';
import type { DirtyLimits } from './dirty-limits.ts';
import { checkPlan, type DirtyRate } from './dirty-rate-measurement.ts';

export function dirtyUseCases(dirtyRate: DirtyRate, dirtyLimits: DirtyLimits): DirtyUseCases {
  return {
    calcDirtyRate: (arguments_) => dirtyRate.calc(arguments_),
    checkCalcDirtyRate: checkPlan,
    queryDirtyRate: (unit) => dirtyRate.query(unit),
    dirtyRateMeasured: (timeoutMs, signal) => dirtyRate.measured(timeoutMs, signal),
    setVcpuDirtyLimit: (rate, cpuIndex) => dirtyLimits.set(rate, cpuIndex),
    cancelVcpuDirtyLimit: (cpuIndex) => dirtyLimits.cancel(cpuIndex),
    queryVcpuDirtyLimit: (cpuIndex) => dirtyLimits.list(cpuIndex),
  };
}
