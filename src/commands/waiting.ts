import type { Static } from 'typebox';
import type { DirtyRateInfo, TimeUnit } from '../domain/dirty/dirty-types.ts';
import type { Domain } from '../domain/domain.ts';
import { isConcluded } from '../domain/jobs/job-lifecycle.ts';
import { isEnded } from '../domain/migration/migration-status.ts';
import type { Role } from './command.ts';
import type { Migration } from './schemas/history.ts';
import type { Job } from './schemas/jobs.ts';
import { jobView } from './views/job-view.ts';
import { migrationView } from './views/migration.ts';

/* Waits for the end or a change of a migration, a job or a measurement. Each wait ends after its timeout, or when its signal aborts. */

export type WaitLimit = { readonly timeoutMs: number; readonly signal: AbortSignal };

/** Waits until a migration has ended or the limit is reached. @returns its row, as the caller's role may see it */
export async function migrationEnded(
  domain: Domain,
  { id, role }: { readonly id: string; readonly role: Role | undefined },
  limit: WaitLimit,
): Promise<{ readonly ended: boolean; readonly migration: Static<typeof Migration> }> {
  const record = await domain.migration.ended(id, limit.timeoutMs, limit.signal);
  return { ended: isEnded(record.status), migration: migrationView(record, role) };
}

/** Waits until a job, given by id or sequence, has concluded or the limit is reached. @returns the job */
export async function jobEnded(
  domain: Domain,
  which: string | number,
  limit: WaitLimit,
): Promise<{ readonly ended: boolean; readonly job: Static<typeof Job> }> {
  const record = await domain.jobs.ended(which, limit.timeoutMs, limit.signal);
  return { ended: isConcluded(record.status), job: jobView(record) };
}

/** Waits until no measurement runs or the limit is reached. @returns the answer of query-dirty-rate */
export async function dirtyRateMeasured(
  domain: Domain,
  unit: TimeUnit,
  limit: WaitLimit,
): Promise<{ readonly ended: boolean; readonly info: DirtyRateInfo }> {
  await domain.dirty.dirtyRateMeasured(limit.timeoutMs, limit.signal);
  const info = domain.dirty.queryDirtyRate(unit);
  return { ended: info.status !== 'measuring', info };
}

/** A changing object: its version, and a function that waits for another version. */
export type Watched = {
  version(): number;
  /** Resolves when `version()` is no longer `seen`, or when the limit is reached. */
  changed(seen: number, limit: WaitLimit): Promise<void>;
  /** The status alone, for clients that wait for a change of status; absent if there is none. */
  status?(): string;
};

/** The answer of query-migrate. */
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

/** Capabilities or parameters. The domain reports each change of the machine or of its settings. */
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
