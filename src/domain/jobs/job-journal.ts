import type { Emit, EventHub } from '../events/event-hub.ts';
import type { Report, Schedule } from '../ports/process.ts';
import type { JobRecord, Store } from '../ports/store.ts';
import { withReserve } from '../store-reserve.ts';
import type { Job } from './job.ts';

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
