import type { EventHub } from '../events/event-hub.ts';
import { logJobEnded, SERVICE_STOPPED } from '../events/outcomes.ts';
import type { Clock, Note } from '../ports/process.ts';
import type { JobRecord, JobRepository, Store } from '../ports/store.ts';
import { withReserve } from '../store-reserve.ts';
import { emitJobStatus } from './job-journal.ts';
import { WORK_DONE } from './job-spec.ts';
import type { Jobs } from './jobs.ts';

type Recovery = {
  readonly store: Store;
  readonly clock: Clock;
  readonly events: EventHub;
  readonly jobs: Jobs;
  readonly note: Note;
};

/**
 * Concludes what a service that stopped left open: those jobs have failed, unless they had said that their work was done,
 * and are listed until they are dismissed.
 * @returns the jobs whose work may have left something half-done, oldest first. Every start returns them again, until
 * `jobRepaired` was called: a recovery may be interrupted too.
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
  logJobEnded(note, concluded);
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

/** Records that an interrupted job has been repaired, except for these parts, which a later start looks at. */
export function jobRepaired(
  jobs: Pick<JobRepository, 'save'>,
  interrupted: JobRecord,
  parts: readonly unknown[] = [],
): void {
  const isWhole = parts.length === 0;
  const rest = isWhole ? { phase: null, recovery: null } : { recovery: { ...interrupted.recovery, parts } };
  jobs.save({ ...interrupted, ...rest });
}
