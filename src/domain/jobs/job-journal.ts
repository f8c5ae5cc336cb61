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
 * Writes jobs: the row and the events of all new steps in one transaction. If that fails, the job continues, and its
 * changes are written with the next job or after a second. On a full disk they are written with the space that was
 * reserved when the job was started.
 */
export class JobJournal {
  readonly #options: JournalOptions;
  /** Jobs with unwritten changes, oldest change first. */
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

  /** @throws the error of the store; then nothing was written, and the job stays unwritten. */
  keepNow(job: Job): void {
    this.#behind.add(job);
    if (job.spec.freesRoom === true) withReserve(this.#options.store, () => this.#write());
    else this.#write();
  }

  /** Writes the unwritten changes if possible. Never throws. */
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

  /** Tries once more to write; schedules nothing afterwards. */
  close(): void {
    this.catchUp();
    this.#callOff?.();
    this.#callOff = null;
  }

  #write(): void {
    if (this.#behind.size === 0) return;
    const { store, events } = this.#options;
    // Collected before they are published, because a subscriber may start the next step of a job.
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

/** The history stores the outcome of a job, not its dismissal. */
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
  /** Receives the concluded jobs, so that they are listed. */
  readonly jobs: { adopt(concluded: JobRecord): void };
  readonly note: Note;
};

/**
 * Concludes the jobs that an earlier process left open: completed if their work was done, otherwise failed. They are
 * listed until dismissed.
 * @returns the jobs that may need a repair, oldest first; each start returns them until `jobRepaired` was called.
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

/**
 * From the job's start to now by the wall clock, because the other process's monotonic clock is lost; null: never
 * started.
 */
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

/** Records that a job is repaired, except for `parts`, which a later start repairs. */
export function jobRepaired(
  jobs: Pick<JobRepository, 'save'>,
  interrupted: JobRecord,
  parts: readonly unknown[] = [],
): void {
  const isWhole = parts.length === 0;
  const rest = isWhole ? { phase: null, recovery: null } : { recovery: { ...interrupted.recovery, parts } };
  jobs.save({ ...interrupted, ...rest });
}
