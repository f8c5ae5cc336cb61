import type { Surroundings } from '../context.ts';
import type { EventHub } from '../events.ts';
import { SERVICE_STOPPED } from '../migration/recovery.ts';
import { logJobEnded } from '../outcomes.ts';
import type { Clock } from '../ports.ts';
import type { JobRecord, Store } from '../store-ports.ts';
import type { Jobs } from './jobs.ts';
import { emitJobStatus } from './journal.ts';
import { WORK_DONE } from './spec.ts';
import { withReserve } from './with-reserve.ts';

type Recovery = {
  readonly store: Store;
  readonly clock: Clock;
  readonly events: EventHub;
  readonly jobs: Jobs;
  readonly note: Surroundings['note'];
};

/**
 * Concludes what a service that stopped left open: those jobs have failed, unless they had said that their work was done,
 * and are listed until they are dismissed.
 * @returns the jobs whose work may have left something half-done, oldest first. Every start returns them again, until
 * `jobPutRight` was called: a recovery may be interrupted too.
 */
export function recoverJobs(recovery: Recovery): readonly JobRecord[] {
  const concluded = recovery.store.jobs.open().map((left) => (left.outcome === null ? conclude(recovery, left) : left));
  return concluded.filter(({ phase }) => phase !== null);
}

function conclude({ store, clock, events, jobs, note }: Recovery, left: JobRecord): JobRecord {
  const concluded: JobRecord = {
    ...left,
    status: 'concluded',
    endedAt: clock.now(),
    durationMs: durationOf(left, clock.now()),
    ...(left.phase === WORK_DONE ? DONE : stopped(left)),
  };
  withReserve(store, () =>
    events.commit((emit) => {
      store.jobs.save(concluded);
      emitJobStatus(emit, concluded);
    }),
  );
  jobs.adopt(concluded);
  logJobEnded({ note }, concluded);
  return concluded;
}

/** The monotonic clock of the service that stopped is gone: until the job was found, by the wall clock. Null: never started. */
function durationOf({ startedAt, durationMs }: JobRecord, now: number): number | null {
  return startedAt === null ? null : Math.max(durationMs ?? 0, Math.round(now - startedAt));
}

const DONE = { outcome: 'completed', phase: null, recovery: null } as const;

function stopped({ status }: JobRecord) {
  return {
    outcome: 'failed',
    errorCode: SERVICE_STOPPED,
    errorDescription: `The service stopped during this job, which was in state '${status}'.`,
  } as const;
}

/** Says that what a job left half-done has been put right, but for these parts, which a later start is to look at. */
export function jobPutRight(
  { store }: Pick<Recovery, 'store'>,
  interrupted: JobRecord,
  parts: readonly unknown[] = [],
): void {
  const isWhole = parts.length === 0;
  const rest = isWhole ? { phase: null, recovery: null } : { recovery: { ...interrupted.recovery, parts } };
  store.jobs.save({ ...interrupted, ...rest });
}
