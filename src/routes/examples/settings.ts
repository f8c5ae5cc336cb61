import type { Example } from '../operation.ts';

const capabilities = [
  { capability: 'events', state: true },
  { capability: 'return-path', state: true },
];
const parameters = { 'max-bandwidth': 1000000000, 'downtime-limit': 300, 'multifd-channels': 2 };

export const queryCapabilities: readonly Example[] = [{ name: 'all (shortened)', status: 200, answer: capabilities }];

export const setCapabilities: readonly Example[] = [
  { name: 'switch events and the return path on', body: { capabilities }, status: 200, answer: capabilities },
];

export const queryParameters: readonly Example[] = [{ name: 'all (shortened)', status: 200, answer: parameters }];

export const setParameters: readonly Example[] = [
  {
    name: 'one gigabyte a second, 300 ms of downtime',
    body: { 'max-bandwidth': 1000000000, 'downtime-limit': 300 },
    status: 200,
    answer: parameters,
  },
];
