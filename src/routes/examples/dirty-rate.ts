import type { Example } from '../operation.ts';

const measuring = {
  status: 'measuring',
  'start-time': 1795831069,
  'calc-time': 1,
  'calc-time-unit': 'second',
  'sample-pages': 512,
  mode: 'page-sampling',
};
const limits = [{ 'cpu-index': 0, 'limit-rate': 50, 'current-rate': 49 }];

export const queryDirtyRate: readonly Example[] = [
  { name: 'measured', status: 200, answer: { ...measuring, status: 'measured', 'dirty-rate': 20 } },
  {
    name: 'by vCPU, in milliseconds',
    query: { 'calc-time-unit': 'millisecond' },
    status: 200,
    answer: {
      ...measuring,
      status: 'measured',
      'dirty-rate': 40,
      'calc-time': 1000,
      'calc-time-unit': 'millisecond',
      'sample-pages': 0,
      mode: 'dirty-ring',
      'vcpu-dirty-rate': [
        { id: 0, 'dirty-rate': 20 },
        { id: 1, 'dirty-rate': 20 },
      ],
    },
  },
];

export const calcDirtyRate: readonly Example[] = [
  { name: 'for a second', body: { 'calc-time': 1 }, status: 202, answer: measuring },
  {
    name: 'every page, for half a second',
    body: { 'calc-time': 500, 'calc-time-unit': 'millisecond', mode: 'dirty-bitmap' },
    status: 202,
    answer: { ...measuring, 'calc-time': 500, 'calc-time-unit': 'millisecond', mode: 'dirty-bitmap' },
  },
];

export const queryVcpuDirtyLimit: readonly Example[] = [{ name: 'one', status: 200, answer: limits }];

export const setVcpuDirtyLimit: readonly Example[] = [
  { name: '50 MiB/s for vCPU 0', query: { 'cpu-index': '0' }, body: { 'dirty-rate': 50 }, status: 200, answer: limits },
];

export const cancelVcpuDirtyLimit: readonly Example[] = [
  { name: 'of vCPU 0', query: { 'cpu-index': '0' }, status: 200, answer: [] },
];

export const queryMigrationThreads: readonly Example[] = [
  { name: 'a source', status: 200, answer: [{ name: 'mig/src/main', 'thread-id': 4711 }] },
];
