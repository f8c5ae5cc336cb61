import type { Example } from '../operation.ts';

const blocker = { id: '1', reason: 'A backup is being made.' };

export const queryBlockers: readonly Example[] = [
  { name: 'one', status: 200, answer: { blockers: [blocker], 'only-migratable': false } },
];

export const addBlocker: readonly Example[] = [
  { name: 'a backup', body: { reason: blocker.reason }, status: 201, answer: blocker },
];

export const removeBlocker: readonly Example[] = [{ name: 'the backup is done', params: { id: '1' }, status: 204 }];
