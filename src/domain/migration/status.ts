/**
 * MigrationStatus of the QAPI schema, in its order. The position of a name is the code that the shared status word
 * holds, so the list may only grow at its end.
 */
export const MIGRATION_STATUSES = [
  'none',
  'setup',
  'cancelling',
  'cancelled',
  'active',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
  'completed',
  'failed',
  'colo',
  'pre-switchover',
  'device',
  'wait-unplug',
] as const;

export type MigrationStatus = (typeof MIGRATION_STATUSES)[number];

/** How a migration can end. */
export const MIGRATION_OUTCOMES = ['completed', 'failed', 'cancelled'] as const satisfies readonly MigrationStatus[];

/** True while a migration is under way: another may not begin and capabilities may not change. */
export function isRunning(status: MigrationStatus): boolean {
  return !isIdle(status);
}

/** True before the first migration and after one has ended. */
export function isIdle(status: MigrationStatus): boolean {
  return status === 'none' || isEnded(status);
}

/** True once a migration has ended, whichever way. */
export function isEnded(status: MigrationStatus): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}
