import type { Schedule } from '../context.ts';
import type { Job } from './job.ts';
import type { JobProgress } from './spec.ts';

/** Between two looks at figures that somebody waits for, milliseconds. */
const LOOK_MS = 100;

/** Tells whether the figures of jobs have changed. They are only read when somebody asks: nobody tells of them. */
export class ProgressWatch {
  readonly #schedule: Schedule;
  readonly #alive: () => readonly Job[];
  #seen = new Map<Job, JobProgress>();
  #revision = 0;

  constructor(schedule: Schedule, alive: () => readonly Job[]) {
    this.#schedule = schedule;
    this.#alive = alive;
  }

  /** Grows when a figure differs from the last call; never falls. */
  revision(): number {
    const now = new Map(this.#alive().map((job) => [job, job.progress()]));
    const isOther = [...now].some(([job, progress]) => !isSame(progress, this.#seen.get(job)));
    if (isOther) this.#revision += 1;
    this.#seen = now;
    return this.#revision;
  }

  /** Calls `notify` from time to time while there are jobs. @returns a function that ends it. */
  look(notify: () => void): () => void {
    let callOff = (): void => {};
    const again = (): void => {
      callOff = this.#schedule(() => {
        if (this.#alive().length > 0) notify();
        again();
      }, LOOK_MS);
    };
    again();
    return () => callOff();
  }
}

function isSame(left: JobProgress, right: JobProgress | undefined): boolean {
  return left.current === right?.current && left.total === right.total;
}
