import type { Schedule } from '../context.ts';
import type { Job } from './job.ts';
import type { JobProgress } from './spec.ts';

/** Between two looks at figures that somebody waits for, milliseconds. */
const LOOK_MS = 100;

/** Tells whether the figures of jobs have changed. They are only read when somebody asks: nobody tells of them. */
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

  /** Somebody waits for figures: `notify` is called from time to time while there are jobs. @returns what ends that. */
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
