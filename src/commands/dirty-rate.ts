import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import {
  CalcDirtyRateArguments,
  CancelVcpuDirtyLimitArguments,
  DirtyLimitInfoList,
  DirtyRateInfo,
  MigrationThreadInfoList,
  QueryDirtyRateArguments,
  QueryVcpuDirtyLimitArguments,
  SetVcpuDirtyLimitArguments,
} from './schemas/dirty-rate.ts';

/* Dirty rate of the guest, dirty limits of the vCPUs, and threads of the migration. */

export const calcDirtyRate = command({
  name: 'calc-dirty-rate',
  summary: 'Start to measure how fast the guest dirties its memory',
  qapi: { returns: 'nothing' },
  role: 'operator',
  begins: true,
  arguments: CalcDirtyRateArguments,
  result: DirtyRateInfo,
  run: ({ dirty }, arguments_) => {
    dirty.calcDirtyRate(arguments_);
    return dirty.queryDirtyRate(arguments_['calc-time-unit']);
  },
  check: ({ dirty }, members) => dirty.checkCalcDirtyRate(members),
});

export const queryDirtyRate = command({
  name: 'query-dirty-rate',
  summary: 'The newest measurement of the dirty rate',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: QueryDirtyRateArguments,
  result: DirtyRateInfo,
  run: ({ dirty }, { 'calc-time-unit': unit }) => dirty.queryDirtyRate(unit),
});

export const setVcpuDirtyLimit = command({
  name: 'set-vcpu-dirty-limit',
  summary: 'Limit the dirty rate of vCPUs',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: SetVcpuDirtyLimitArguments,
  result: DirtyLimitInfoList,
  run: ({ dirty }, { 'dirty-rate': rate, 'cpu-index': cpuIndex }) => {
    dirty.setVcpuDirtyLimit(rate, cpuIndex);
    return dirty.queryVcpuDirtyLimit();
  },
});

export const cancelVcpuDirtyLimit = command({
  name: 'cancel-vcpu-dirty-limit',
  summary: 'Remove the dirty limits of vCPUs',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: CancelVcpuDirtyLimitArguments,
  result: DirtyLimitInfoList,
  run: ({ dirty }, { 'cpu-index': cpuIndex }) => {
    dirty.cancelVcpuDirtyLimit(cpuIndex);
    return dirty.queryVcpuDirtyLimit();
  },
});

export const queryVcpuDirtyLimit = command({
  name: 'query-vcpu-dirty-limit',
  summary: 'The vCPUs with a dirty limit',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: DirtyLimitInfoList,
  run: ({ dirty }) => dirty.queryVcpuDirtyLimit(),
});

export const queryOneVcpuDirtyLimit = command({
  name: 'x-ferry-query-vcpu-dirty-limit',
  summary: 'The vCPUs with a dirty limit, or one of them',
  qapi: null,
  role: 'viewer',
  arguments: QueryVcpuDirtyLimitArguments,
  result: DirtyLimitInfoList,
  run: ({ dirty }, { 'cpu-index': cpuIndex }) => dirty.queryVcpuDirtyLimit(cpuIndex),
});

export const queryMigrationThreads = command({
  name: 'query-migrationthreads',
  summary: 'The threads of the running migration',
  qapi: { returns: 'result', features: ['deprecated'] },
  role: 'viewer',
  arguments: Empty,
  result: MigrationThreadInfoList,
  run: ({ migration }) => migration.threads(),
});
