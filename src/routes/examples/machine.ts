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
