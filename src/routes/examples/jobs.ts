import type { Example } from '../operation.ts';

const running = {
  id: 'save-1',
  type: 'snapshot-save',
  status: 'running',
  paused: false,
  'waiting-for': [],
  'current-progress': 67108864,
  'total-progress': 268435456,
  outcome: null,
  warnings: [],
  'created-at': '2025-06-01T12:00:00.000Z',
  'started-at': '2025-06-01T12:00:00.001Z',
  'ended-at': null,
  duration: 180,
  details: { tag: 'before-upgrade', vmstate: 'disk0', devices: ['disk0'] },
  result: null,
};

const concluded = {
  ...running,
  status: 'concluded',
  'current-progress': 268435456,
  outcome: 'completed',
  'ended-at': '2025-06-01T12:00:00.701Z',
  duration: 700,
  result: { tag: 'before-upgrade', 'vm-state-size': 201326592 },
};

const waiting = {
  ...running,
  id: 'verify-1',
  type: 'snapshot-verify',
  status: 'created',
  'waiting-for': ['save-1'],
  'current-progress': 0,
  'total-progress': 0,
  'started-at': null,
  duration: null,
};

const cancelled = {
  ...running,
  status: 'concluded',
  outcome: 'cancelled',
  error: 'The job was cancelled.',
  'error-code': 'job_cancelled',
  'ended-at': '2025-06-01T12:00:00.182Z',
};

const params = { id: 'save-1' };

export const queryJobs: readonly Example[] = [
  { name: 'all of them', status: 200, answer: { jobs: [running] } },
  { name: 'one of them waits', headers: { Prefer: 'wait=10' }, status: 200, answer: { jobs: [waiting, running] } },
];

export const queryJobHistory: readonly Example[] = [
  {
    name: 'saves that completed',
    query: { type: 'snapshot-save', outcome: 'completed', node: 'disk0', limit: '10' },
    status: 200,
    answer: { jobs: [concluded], next: null },
  },
];

export const queryJob: readonly Example[] = [{ name: 'one that runs', params, status: 200, answer: running }];

export const jobCancel: readonly Example[] = [
  { name: 'and wait for its end', params, headers: { Prefer: 'wait=10' }, status: 200, answer: cancelled },
];

export const jobPause: readonly Example[] = [
  { name: 'one that runs', params, status: 200, answer: { ...running, status: 'paused', paused: true } },
];

export const jobResume: readonly Example[] = [{ name: 'one that is paused', params, status: 200, answer: running }];

export const jobComplete: readonly Example[] = [
  { name: 'one that is ready', params, status: 200, answer: { ...running, status: 'ready' } },
];

export const jobFinalize: readonly Example[] = [
  { name: 'one that is pending', params, status: 200, answer: concluded },
];

export const jobDismiss: readonly Example[] = [
  { name: 'one that has concluded', params, status: 200, answer: { ...concluded, status: 'null' } },
];
