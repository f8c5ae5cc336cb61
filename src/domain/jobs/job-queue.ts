import type { JobRecord } from '../ports/store.ts';
import type { Job } from './job.ts';
import type { JobView } from './job-spec.ts';

/* The queue of jobs: a job starts when all its resources are free and no earlier job waits for any of them. */

/** A job that has ended. */
export function endedView(record: JobRecord): JobView {
  return { ...record, isPaused: false, waitsFor: [] };
}

/**
 * @param inOrder all jobs that have not concluded, oldest first.
 * @returns for each waiting job the ids of the jobs that it waits for.
 */
export function waitingJobs(inOrder: readonly Job[]): ReadonlyMap<Job, readonly string[]> {
  const waiting = new Map<Job, readonly string[]>();
  const queue = new Queue();
  for (const job of inOrder) {
    if (job.status === 'created') waiting.set(job, queue.lastOf(job.spec.resources));
    queue.add(job);
  }
  return waiting;
}

/**
 * @param inOrder all jobs that have not concluded, oldest first.
 * @returns the jobs that have started, and those that will start without a resume: no paused job ahead of them needs
 * the same resource.
 */
export function jobsThatBegin(inOrder: readonly Job[]): readonly Job[] {
  const kept = new Set<string>();
  return inOrder.filter(({ status, isPaused, spec }) => {
    if (status !== 'created') return true;
    const isHeldBack = isPaused || spec.resources.some((resource) => kept.has(resource));
    if (isHeldBack) for (const resource of spec.resources) kept.add(resource);
    return !isHeldBack;
  });
}

/** The ids of the jobs that a new job at the end of the queue would wait for. */
export function waitsBehind(inOrder: readonly Job[], resources: readonly string[]): readonly string[] {
  const queue = new Queue();
  for (const job of inOrder) queue.add(job);
  return queue.lastOf(resources);
}

/** For each resource, the last job that needs it. */
class Queue {
  readonly #last = new Map<string, string>();

  add({ id, spec }: Job): void {
    for (const resource of spec.resources) this.#last.set(resource, id);
  }

  lastOf(resources: readonly string[]): readonly string[] {
    const last = resources.map((resource) => this.#last.get(resource)).filter((id) => id !== undefined);
    return [...new Set(last)];
  }
}
