import type { Example } from '../operation.ts';

export const queryColoStatus: readonly Example[] = [
  { name: 'never in COLO', status: 200, answer: { mode: 'none', 'last-mode': 'none', reason: 'none' } },
];

export const coloLostHeartbeat: readonly Example[] = [
  { name: 'no peer', status: 409, answer: { status: 409, code: 'not_in_colo' } },
];
