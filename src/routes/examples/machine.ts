import type { Example } from '../operation.ts';

const workload = { rate: 20971520, span: 67108864, pattern: 'hot' };

export const queryMachine: readonly Example[] = [
  {
    name: 'a synthetic guest',
    status: 200,
    answer: {
      kind: 'synthetic',
      name: 'vm0',
      uuid: '8c6b7a5e-3f0d-4f35-9d3c-0d5f7f0a1b2c',
      'ram-blocks': [{ name: 'ferry.ram', size: 268435456 }],
      vcpus: 1,
      ticks: 12345,
      'pages-checked': 61440,
      'pages-written': 61440,
      'disk-writes': 640,
      'disk-checks': 1152,
      panic: null,
      workload,
    },
  },
];

export const queryConsole: readonly Example[] = [{ name: 'ticks', status: 200, answer: 'tick 1\ntick 2\n' }];

export const setWorkload: readonly Example[] = [
  { name: 'dirty less', body: { rate: 1048576 }, status: 200, answer: { ...workload, rate: 1048576 } },
];

export const queryStatus: readonly Example[] = [
  { name: 'it runs', status: 200, answer: { running: true, status: 'running' } },
];

export const stop: readonly Example[] = [{ name: 'stop', status: 200, answer: { running: false, status: 'paused' } }];

export const cont: readonly Example[] = [{ name: 'go on', status: 200, answer: { running: true, status: 'running' } }];

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

const at = '2025-06-01T12:00:00.000Z';
const row = {
  id: '1',
  name: '',
  migration: null,
  interfaces: null,
  schedule: { initial: 50, max: 550, rounds: 5, step: 100 },
  'started-at': at,
  'ended-at': null,
  outcome: 'running',
  'rounds-made': 1,
};
const detail = { ...row, rounds: [{ round: 1, at }] };

export const queryAnnouncements: readonly Example[] = [
  {
    name: 'the newest',
    query: { limit: '10' },
    status: 200,
    answer: {
      announcements: [
        {
          ...row,
          name: null,
          migration: '0f8fad5b-d9cb-469f-a165-70867728950e',
          'ended-at': '2025-06-01T12:00:00.800Z',
          outcome: 'completed',
          'rounds-made': 5,
        },
      ],
      next: null,
    },
  },
];

export const announceSelf: readonly Example[] = [
  { name: 'as the parameters say', body: {}, status: 201, answer: detail },
  {
    name: 'two interfaces, three rounds',
    body: { rounds: 3, interfaces: ['vn2', 'vn3'], id: 'bob' },
    status: 201,
    answer: {
      ...detail,
      name: 'bob',
      interfaces: ['vn2', 'vn3'],
      schedule: { initial: 50, max: 550, rounds: 3, step: 100 },
    },
  },
];

export const queryAnnouncement: readonly Example[] = [
  { name: 'one', params: { id: '1' }, status: 200, answer: detail },
];
