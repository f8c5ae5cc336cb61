import type { Context } from '../context.ts';
import type { MigrationThreadInfo } from '../dirty/dirty.ts';

/** Threads of the migration that is under way, by their names in QEMU; it has none for a target, which gets one alike. */
export function migrationThreads({ current }: Context): readonly MigrationThreadInfo[] {
  if (current === null || current.isEnded) return [];
  const id = current.transfer?.threadId() ?? null;
  if (id === null) return [];
  return [{ name: current.direction === 'outgoing' ? 'mig/src/main' : 'mig/dst/main', 'thread-id': id }];
}
