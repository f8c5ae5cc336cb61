import type { Schedule } from '../ports/process.ts';
import type { Job } from './job.ts';
import type { JobProgress } from './job-spec.ts';

/** Time between two readings of figures that a client waits for, milliseconds. */
const LOOK_MS = 100;

/** Detects changes of the figures of jobs. They are read only when a client asks, because no event announces them. */
export class ProgressWatch {
  readonly #schedule: Schedule;
  readonly #alive: () => readonly Job[];
  readonly #notify: () => void;
  #seen = new Map<Job, JobProgress>();
  #revision = 0;
  #lookers = 0;
  #callOff = (): void => {};

  constructor(schedule: Schedule, { alive, notify }: { alive: () => readonly Job[]; notify: () => void }) {
    this.#schedule = schedule;
    this.#alive = alive;
    this.#notify = notify;
  }

  /** Grows when a figure differs from the last call; never falls. */
  revision(): number {
    const now = new Map(this.#alive().map((job) => [job, job.progress()]));
    const isOther = [...now].some(([job, progress]) => !isSame(progress, this.#seen.get(job)));
    if (isOther) this.#revision += 1;
    this.#seen = now;
    return this.#revision;
  }

  /**
   * Calls `notify` every 100 ms while there are jobs, for a client that waits for figures. @returns a function that
   * ends that.
   */
  look(): () => void {
    this.#lookers += 1;
    if (this.#lookers === 1) this.#lookLater();
    return () => {
      this.#lookers -= 1;
      if (this.#lookers === 0) this.#callOff();
    };
  }

  #lookLater(): void {
    this.#callOff = this.#schedule(() => {
      if (this.#alive().length > 0) this.#notify();
      if (this.#lookers > 0) this.#lookLater();
    }, LOOK_MS);
  }
}

function isSame(left: JobProgress, right: JobProgress | undefined): boolean {
  return left.current === right?.current && left.total === right.total;
}
