import type { JobRecord } from '../store-ports.ts';
import type { Job } from './job.ts';

/** A job as it is looked at: its row, and where it stands now. */
export type SeenJob = JobRecord & {
  /** It was told to pause, and not to resume since: it stands still, or will where its work next can. */
  readonly isPaused: boolean;
  /**
   * While it has not begun: for each thing that it needs, the id of the next job ahead of it that needs it too. Not all
   * that are ahead, which for a long line would make the list of jobs grow with its square: those have it first, too.
   */
  readonly waitsFor: readonly string[];
};

/** A job of which nothing changes any more. */
export function seenAtRest(record: JobRecord): SeenJob {
  return { ...record, isPaused: false, waitsFor: [] };
}

/** @param inOrder all jobs that have not concluded, oldest first. @returns for whom each of those that wait does so. */
export function whoWaitsForWhom(inOrder: readonly Job[]): ReadonlyMap<Job, readonly string[]> {
  const waiting = new Map<Job, readonly string[]>();
  const line = new Line();
  for (const job of inOrder) {
    if (job.status === 'created') waiting.set(job, line.endsOf(job.spec.resources));
    line.join(job);
  }
  return waiting;
}

/**
 * @param inOrder all jobs that have not concluded, oldest first.
 * @returns those that have begun, and those that begin without a resume: no paused job ahead of them keeps what they need.
 */
export function whoMayBegin(inOrder: readonly Job[]): readonly Job[] {
  const kept = new Set<string>();
  return inOrder.filter(({ status, isPaused, spec }) => {
    if (status !== 'created') return true;
    const isHeldBack = isPaused || spec.resources.some((resource) => kept.has(resource));
    if (isHeldBack) for (const resource of spec.resources) kept.add(resource);
    return !isHeldBack;
  });
}

/** For whom a job would wait that comes behind all of these. */
export function behindAll(inOrder: readonly Job[], resources: readonly string[]): readonly string[] {
  const line = new Line();
  for (const job of inOrder) line.join(job);
  return line.endsOf(resources);
}

/** For each resource, who came last of those that need it. */
class Line {
  readonly #ends = new Map<string, string>();

  join({ id, spec }: Job): void {
    for (const resource of spec.resources) this.#ends.set(resource, id);
  }

  endsOf(resources: readonly string[]): readonly string[] {
    const ends = resources.map((resource) => this.#ends.get(resource)).filter((id) => id !== undefined);
    return [...new Set(ends)];
  }
}
