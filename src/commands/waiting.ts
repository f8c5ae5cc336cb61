import type { Static } from 'typebox';
import type { DirtyRateInfo, TimeUnit } from '../domain/dirty/dirty.ts';
import type { Domain } from '../domain/domain.ts';
import { isConcluded } from '../domain/jobs/status.ts';
import { isEnded } from '../domain/migration/status.ts';
import type { Role } from './command.ts';
import type { Migration } from './schemas/history.ts';
import type { Job } from './schemas/jobs.ts';
import { jobView } from './views/job.ts';
import { migrationView } from './views/migration.ts';

/* What a door may wait for. Every wait ends by itself, and at once when its signal aborts. */

export type Patience = { readonly timeoutMs: number; readonly signal: AbortSignal };

/** A migration's row when it has ended, or as it stands when patience is out, as the role of the caller may see it. */
export async function migrationEnded(
  domain: Domain,
  { id, role }: { readonly id: string; readonly role: Role | undefined },
  patience: Patience,
): Promise<{ readonly ended: boolean; readonly migration: Static<typeof Migration> }> {
  const record = await domain.migration.ended(id, patience.timeoutMs, patience.signal);
  return { ended: isEnded(record.status), migration: migrationView(record, role) };
}

/** A job, of an id or a sequence, when it has concluded, or as it stands when patience is out. */
export async function jobEnded(
  domain: Domain,
  which: string | number,
  patience: Patience,
): Promise<{ readonly ended: boolean; readonly job: Static<typeof Job> }> {
  const record = await domain.jobs.ended(which, patience.timeoutMs, patience.signal);
  return { ended: isConcluded(record.status), job: jobView(record) };
}

/** query-dirty-rate's answer when nothing is being measured, or as it stands when patience is out. */
export async function dirtyRateMeasured(
  domain: Domain,
  unit: TimeUnit,
  patience: Patience,
): Promise<{ readonly ended: boolean; readonly info: DirtyRateInfo }> {
  await domain.dirty.dirtyRateMeasured(patience.timeoutMs, patience.signal);
  const info = domain.dirty.queryDirtyRate(unit);
  return { ended: info.status !== 'measuring', info };
}

/** Something that changes: a number that tells its states apart, and a way to wait for another one. */
export type Watched = {
  version(): number;
  /** Resolves when `version()` is no longer `seen`, or when patience is out. */
  changed(seen: number, patience: Patience): Promise<void>;
  /** The status alone, for those who want to know of its changes only; absent where there is none. */
  status?(): string;
};

/** query-migrate's answer. */
export function watchMigration(domain: Domain): Watched {
  return {
    version: () => domain.migration.revision(),
    changed: (seen, { timeoutMs, signal }) => domain.migration.changed(seen, timeoutMs, signal),
    status: () => {
      const newest = domain.migration.newest();
      return newest === null ? 'none' : `${newest.id}:${newest.status}`;
    },
  };
}

/** The machine, its migrations and its settings, without figures. */
export function watchState(domain: Domain): Watched {
  return {
    version: () => domain.migration.state.revision(),
    changed: (seen, { timeoutMs, signal }) => domain.migration.state.changed(seen, timeoutMs, signal),
  };
}

/** The list of jobs, their figures included. */
export function watchJobs(domain: Domain): Watched {
  return {
    version: () => domain.jobs.revision(),
    changed: (seen, { timeoutMs, signal }) => domain.jobs.changed(seen, timeoutMs, signal),
    status: () =>
      domain.jobs
        .list()
        .map(({ sequence, status }) => `${sequence}:${status}`)
        .join(),
  };
}

/** Capabilities or parameters. A change of settings counts as a change of the machine, among others. */
export function watchSettings(domain: Domain, kind: 'capabilities' | 'parameters'): Watched {
  return {
    version: () => domain.settings.version(kind),
    changed: async (seen, { timeoutMs, signal }) => {
      const end = performance.now() + timeoutMs;
      while (domain.settings.version(kind) === seen && !signal.aborted) {
        const left = end - performance.now();
        if (left <= 0) return;
        await domain.migration.changed(domain.migration.revision(), left, signal);
      }
    },
  };
}
