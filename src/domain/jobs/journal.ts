import type { Schedule } from '../context.ts';
import type { Emit, EventHub } from '../events.ts';
import type { JobRecord, Store } from '../store-ports.ts';
import type { Job } from './job.ts';
import { withReserve } from './with-reserve.ts';

/** Between two attempts to write what could not be written, milliseconds. */
const RETRY_MS = 1000;

type Surroundings = {
  readonly store: Store;
  readonly events: EventHub;
  readonly schedule: Schedule;
  readonly report: (error: unknown) => void;
};

/**
 * Writes jobs down: the row and the events of all steps that were not told yet, in one transaction. Where that fails the
 * job goes on; what is missing is written with the next job that is, or after a while. On a full disk it is written in the
 * room that was kept for it when the job was made.
 */
export class JobJournal {
  readonly #surroundings: Surroundings;
  /** Jobs of which something is not written, in the order in which that began. */
  readonly #behind = new Set<Job>();
  #callOff: (() => void) | null = null;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Never throws. */
  keep(job: Job): void {
    this.#behind.add(job);
    this.catchUp();
  }

  /** @throws what the store throws; then the job is behind, and nothing of it was written. */
  keepNow(job: Job): void {
    this.#behind.add(job);
    if (job.spec.freesRoom === true) withReserve(this.#surroundings.store, () => this.#write());
    else this.#write();
  }

  /** Writes what is missing, if that can be done. Never throws. */
  catchUp(): void {
    try {
      withReserve(this.#surroundings.store, () => this.#write());
    } catch (error) {
      this.#surroundings.report(error);
      this.#callOff ??= this.#surroundings.schedule(() => {
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
    const { store, events } = this.#surroundings;
    // Taken before they are told: a subscriber may make a job take its next step at once.
    const due = [...this.#behind].map((job) => ({ job, record: rowOf(job.record()), steps: job.untold.splice(0) }));
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
        job.untold.unshift(...steps);
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
