import { DomainError } from '../errors.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { JobControl, JobSpec, JobView } from '../jobs/spec.ts';
import type { Occupancy } from '../occupancy.ts';
import type { DamageReport, SnapshotError, SnapshotTask } from '../ports/block-nodes.ts';

/** Options of a job on snapshots beside its work. */
export type JobOptions = { readonly onInsert?: JobSpec['onInsert'] | undefined; readonly autoDismiss?: boolean };

export type StartParts = { readonly jobs: Pick<Jobs, 'start'>; readonly occupancy: Pick<Occupancy, 'refuse'> };

type SnapshotSpec = Pick<JobSpec, 'type' | 'run' | 'freesRoom'> &
  JobOptions & {
    readonly id: string;
    /** True if the machine is captured or replaced: one at a time, and no migration meanwhile. */
    readonly needsMachine: boolean;
    readonly details: JobSpec['details'] & { readonly devices: readonly string[] };
  };

/** Starts a job that has the nodes that it works on, and the machine if it needs that, for itself. */
export function startJob(parts: StartParts, { needsMachine, onInsert, ...spec }: SnapshotSpec): JobView {
  parts.occupancy.refuse('snapshot job');
  const nodes = new Set(spec.details.devices.map((name) => `node:${name}`));
  const resources = [...(needsMachine ? ['machine'] : []), ...nodes];
  return parts.jobs.start({ ...spec, ...(onInsert === undefined ? {} : { onInsert }), resources });
}

/**
 * Works on images for a job: passes progress to the job, and its verbs to the task. If `work` fails, this rejects only
 * when nothing of the task is under way any more.
 */
export async function workOn(job: JobControl, task: SnapshotTask<unknown>, work: () => Promise<void>): Promise<void> {
  // It rejects together with the promises that `work` awaits; the second rejection must not be unhandled.
  task.ended.catch(() => {});
  job.reportProgress(() => task.progress());
  job.control({ cancel: () => task.cancel(), pause: () => task.pause(), resume: () => task.resume() });
  try {
    await work();
  } catch (error) {
    task.cancel();
    const last = await task.ended.then(
      () => error,
      (atEnd: unknown) => (isLeft(atEnd) ? atEnd : error),
    );
    if (isLeft(last)) job.keepPhase();
    const damage = damageOf(last);
    if (damage.length > 0) job.setResult({ damage: damage.map(damageView) });
    throw last;
  }
}

/** @throws DomainError if the job was cancelled before there was anything to take back. */
export function throwIfCancelled({ isCancelled }: JobControl): void {
  if (isCancelled) throw new DomainError('job_cancelled', 'The job was cancelled.');
}

/** The code of an error, wherever it comes from. */
export function codeOf(error: unknown): string | undefined {
  return ((error ?? {}) as Partial<SnapshotError>).code;
}

/** What an error says, wherever it comes from. */
export function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as Partial<SnapshotError>;
  return typeof message === 'string' ? message : String(error);
}

/** True if something half-made could not be taken back. */
function isLeft(error: unknown): boolean {
  return (error as Partial<SnapshotError> | null)?.left === true;
}

function damageOf(error: unknown): readonly DamageReport[] {
  return (error as Partial<SnapshotError> | null)?.damage ?? [];
}

function damageView({ node, ramBlock, area, offset, bytes, fileOffset }: DamageReport) {
  return { node, 'ram-block': ramBlock, area, offset, bytes, 'file-offset': fileOffset };
}
