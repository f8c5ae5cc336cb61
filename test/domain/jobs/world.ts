// Jobs over a real store in memory, with work that a test controls.

import { onTestFinished } from 'vitest';
import { DomainError } from '../../../src/domain/errors.ts';
import { EventHub } from '../../../src/domain/events/event-hub.ts';
import { OutcomeCounts } from '../../../src/domain/events/outcomes.ts';
import { recoverJobs } from '../../../src/domain/jobs/job-journal.ts';
import type { JobControl, JobHooks, JobSpec } from '../../../src/domain/jobs/job-spec.ts';
import { Jobs } from '../../../src/domain/jobs/jobs.ts';
import type { JobRecord, Store } from '../../../src/domain/ports/store.ts';
import { openMemoryStore } from '../../helpers/memory-store.ts';
import { FakeTime, nextTurn } from '../fakes/fake-time.ts';

export type JobWorld = {
  readonly jobs: Jobs;
  readonly store: Store;
  readonly time: FakeTime;
  readonly faults: unknown[];
  /** JOB_STATUS_CHANGE as `id status`, oldest first. */
  steps(id?: string): readonly string[];
  /** Makes writes fail, or succeed again. */
  readonly breakStore: (isBroken: boolean) => void;
  /** Fills the disk except for the space reserved for the ends of jobs. */
  readonly fillStore: () => void;
  recover(): readonly JobRecord[];
};

export function jobWorld(given?: Store): JobWorld {
  const store = given ?? openMemoryStore();
  if (given === undefined) onTestFinished(() => store.close());
  const time = new FakeTime();
  const faults: unknown[] = [];
  const report = (fault: unknown): void => {
    faults.push(fault);
  };
  let [isBroken, isFull] = [false, false];
  const breaking: Store = {
    ...store,
    transaction: (work) => {
      if (isBroken) throw new Error('the disk is full');
      if (isFull) throw new DomainError('no_space', 'The disk is full.');
      return store.transaction(work);
    },
    reserve: {
      keep: () => {},
      free: () => {
        isFull = false;
        return true;
      },
    },
  };
  const events = new EventHub(breaking, time, report);
  const jobs = new Jobs({
    store: breaking,
    events,
    clock: time,
    schedule: time.schedule,
    nextTurn,
    note: () => {},
    report,
    outcomeCounts: new OutcomeCounts(),
  });
  return {
    jobs,
    store,
    time,
    faults,
    steps: (id) =>
      events
        .since(0, 10_000)
        .filter(({ name, data }) => name === 'JOB_STATUS_CHANGE' && (id === undefined || data?.id === id))
        .map(({ data }) => (id === undefined ? `${data?.id} ${data?.status}` : String(data?.status))),
    fillStore: () => {
      isFull = true;
    },
    breakStore: (broken) => {
      isBroken = broken;
    },
    recover: () => recoverJobs({ store: breaking, clock: time, events, jobs, note: () => {} }),
  };
}

/** Work without an effect: the test ends it, and reads the verbs that it received. */
export class Work {
  readonly told: string[] = [];
  control: JobControl | null = null;
  readonly #begun = Promise.withResolvers<JobControl>();
  readonly #end = Promise.withResolvers<void>();
  readonly #hasHooks: boolean;

  constructor({ hasHooks = true } = {}) {
    this.#hasHooks = hasHooks;
    this.#end.promise.catch(() => {});
  }

  spec(id: string | null, change: Partial<JobSpec> = {}): JobSpec {
    return { id, type: 'test', resources: ['machine'], details: {}, run: (control) => this.run(control), ...change };
  }

  /** Resolves when the work has started. */
  get begun(): Promise<JobControl> {
    return this.#begun.promise;
  }

  get hasBegun(): boolean {
    return this.control !== null;
  }

  /** The hooks of the work, which log each verb; a cancel ends the work. */
  readonly hooks: JobHooks = {
    cancel: () => {
      this.told.push('cancel');
      this.fail({ code: 'job_cancelled', message: 'given up' });
    },
    pause: () => this.told.push('pause'),
    resume: () => this.told.push('resume'),
  };

  async run(control: JobControl): Promise<void> {
    this.control = control;
    if (this.#hasHooks) control.control(this.hooks);
    this.#begun.resolve(control);
    await this.#end.promise;
  }

  succeed(): void {
    this.#end.resolve();
  }

  fail(error: unknown): void {
    this.#end.reject(error);
  }
}

/** Waits until all pending promise reactions have run. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
