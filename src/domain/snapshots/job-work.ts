import type { Context } from '../context.ts';
import { DomainError } from '../errors.ts';
import type { SeenJob } from '../jobs/line.ts';
import type { JobControl, JobSpec } from '../jobs/spec.ts';
import type { DamageReport, SnapshotError, SnapshotTask } from '../snapshot-port.ts';
import { refuseWhenClosing } from './refusals.ts';

/** How a job on snapshots is started, beside what it does. */
export type JobOptions = Pick<JobSpec, 'begun' | 'autoDismiss'>;

type SnapshotSpec = Pick<JobSpec, 'type' | 'run' | 'freesRoom'> &
  JobOptions & {
    readonly id: string;
    /** True if the machine is captured or replaced: one at a time, and no migration meanwhile. */
    readonly needsMachine: boolean;
    readonly details: JobSpec['details'] & { readonly devices: readonly string[] };
  };

/** Starts a job that has the nodes it works on, and the machine where it needs that, for itself. */
export function startJob(context: Context, { needsMachine, ...spec }: SnapshotSpec): SeenJob {
  refuseWhenClosing(context);
  const nodes = new Set(spec.details.devices.map((name) => `node:${name}`));
  return context.jobs.start({ ...spec, resources: [...(needsMachine ? ['machine'] : []), ...nodes] });
}

/**
 * Works on images on behalf of a job: shows how far it is, and passes on what the job is told. Should `work` fail, it
 * fails only when nothing of the task is under way any more.
 */
export async function workOn(job: JobControl, task: SnapshotTask<unknown>, work: () => Promise<void>): Promise<void> {
  // It rejects together with what `work` awaits; whoever comes second finds it handled.
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
