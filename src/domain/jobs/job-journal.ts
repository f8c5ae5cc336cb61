import type { Emit, EventHub } from '../events/event-hub.ts';
import { logJobEnded, SERVICE_STOPPED } from '../events/outcomes.ts';
import type { Clock, Note, Report, Schedule } from '../ports/process.ts';
import type { JobRecord, JobRepository, Store } from '../ports/store.ts';
import { withReserve } from '../store-reserve.ts';
import type { Job } from './job.ts';
import { WORK_DONE } from './job-spec.ts';

/** Time between two attempts to write, milliseconds. */
const RETRY_MS = 1000;

type JournalOptions = {
  readonly store: Store;
  readonly events: EventHub;
  readonly schedule: Schedule;
  readonly report: Report;
};

/**
 * Writes jobs: the row and the events of all new steps in one transaction. If that fails the job goes on, and the rest is
 * written with the next job, or after a second. On a full disk it is written in the room that was reserved when the job
 * was started.
 */
export class JobJournal {
  readonly #options: JournalOptions;
  /** Jobs with unwritten changes, in the order in which these began. */
  readonly #behind = new Set<Job>();
  #callOff: (() => void) | null = null;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Never throws. */
  keep(job: Job): void {
    this.#behind.add(job);
    this.catchUp();
  }

  /** @throws what the store throws; then the job is behind, and nothing of it was written. */
  keepNow(job: Job): void {
    this.#behind.add(job);
    if (job.spec.freesRoom === true) withReserve(this.#options.store, () => this.#write());
    else this.#write();
  }

  /** Writes the unwritten changes, if that can be done. Never throws. */
  catchUp(): void {
    try {
      withReserve(this.#options.store, () => this.#write());
    } catch (error) {
      this.#options.report(error);
      this.#callOff ??= this.#options.schedule(() => {
        this.#callOff = null;
        this.catchUp();
      }, RETRY_MS);
    }
  }

  /** A last attempt, after which nothing is scheduled. */
  close(): void {
    this.catchUp();
    this.#callOff?.();
    this.#callOff = null;
  }

  #write(): void {
    if (this.#behind.size === 0) return;
    const { store, events } = this.#options;
    // Taken before they are published: a subscriber may make a job take its next step at once.
    const due = [...this.#behind].map((job) => ({
      job,
      record: rowOf(job.record()),
      steps: job.unwrittenSteps.splice(0),
    }));
    this.#behind.clear();
    try {
      events.commit((emit) => {
        for (const { record, steps } of due) {
          store.jobs.save(record);
          for (const status of steps) emitJobStatus(emit, { id: record.id, status });
        }
      });
    } catch (error) {
      for (const { job, steps } of due) {
        job.unwrittenSteps.unshift(...steps);
        this.#behind.add(job);
      }
      throw error;
    }
    this.#callOff?.();
    this.#callOff = null;
  }
}

/** The history keeps how a job ended, not that it was dismissed. */
function rowOf(record: JobRecord): JobRecord {
  return record.status === 'null' ? { ...record, status: 'concluded' } : record;
}

export function emitJobStatus(emit: Emit, { id, status }: Pick<JobRecord, 'id' | 'status'>): void {
  emit('JOB_STATUS_CHANGE', { id, status });
}

type Recovery = {
  readonly store: Store;
  readonly clock: Clock;
  readonly events: EventHub;
  /** Takes the jobs that are concluded, so that they are listed. */
  readonly jobs: { adopt(concluded: JobRecord): void };
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
