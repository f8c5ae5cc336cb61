import { DomainError } from '../errors.ts';
import type { JobControl, JobRecovery, JobSpec, JobView } from '../jobs/job-spec.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Occupancy } from '../occupancy.ts';
import type { BlockNode, DamageReport, SnapshotError, SnapshotTask } from '../ports/block-nodes.ts';
import type { Catalogue } from './catalogue.ts';

/** Further options of a snapshot job. */
export type JobOptions = { readonly onInsert?: JobSpec['onInsert'] | undefined; readonly autoDismiss?: boolean };

export type StartParts = { readonly jobs: Pick<Jobs, 'start'>; readonly occupancy: Pick<Occupancy, 'refuse'> };

type SnapshotSpec = Pick<JobSpec, 'type' | 'run' | 'freesRoom'> &
  JobOptions & {
    readonly id: string;
    /** True if the machine is captured or replaced: one job at a time, and no migration at the same time. */
    readonly needsMachine: boolean;
    readonly details: JobSpec['details'] & { readonly devices: readonly string[] };
  };

/** Starts a job that has its nodes, and if necessary the machine, exclusively. */
export function startJob(parts: StartParts, { needsMachine, onInsert, ...spec }: SnapshotSpec): JobView {
  parts.occupancy.refuse('snapshot job');
  const nodes = new Set(spec.details.devices.map((name) => `node:${name}`));
  const resources = [...(needsMachine ? ['machine'] : []), ...nodes];
  return parts.jobs.start({ ...spec, ...(onInsert === undefined ? {} : { onInsert }), resources });
}

/**
 * Works on images for a job: passes the progress to the job, and the verbs of the job to the task. If `work` fails,
 * this rejects only after the task has ended.
 */
export async function workOn(job: JobControl, task: SnapshotTask<unknown>, work: () => Promise<void>): Promise<void> {
  // Prevents an unhandled rejection: it rejects together with the promises that `work` awaits.
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

/** @throws DomainError if the job was cancelled before it changed anything. */
export function throwIfCancelled({ isCancelled }: JobControl): void {
  if (isCancelled) throw new DomainError('job_cancelled', 'The job was cancelled.');
}

/** The code of any error. */
export function codeOf(error: unknown): string | undefined {
  return ((error ?? {}) as Partial<SnapshotError>).code;
}

/** The message of any error. */
export function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as Partial<SnapshotError>;
  return typeof message === 'string' ? message : String(error);
}

/** True if incomplete changes remain. */
function isLeft(error: unknown): boolean {
  return (error as Partial<SnapshotError> | null)?.left === true;
}

function damageOf(error: unknown): readonly DamageReport[] {
  return (error as Partial<SnapshotError> | null)?.damage ?? [];
}

function damageView({ node, ramBlock, area, offset, bytes, fileOffset }: DamageReport) {
  return { node, 'ram-block': ramBlock, area, offset, bytes, 'file-offset': fileOffset };
}

/** A snapshot in one image that a job creates, deletes or loads. */
export type AffectedPart = {
  readonly node: string;
  /** Path of the image: at the next start the node may have another image. */
  readonly path: string;
  /** Distinguishes it from a later snapshot with the same tag. */
  readonly dateMs: number;
};

/** The recovery data of a snapshot on these nodes. `dateMs`: its date; absent: the date of each node's part. */
export function partsOf(catalogue: Catalogue, tag: string, of: PartsOf): JobRecovery {
  const { devices } = of;
  const parts = catalogue.find(tag)?.parts ?? [];
  const nodes = catalogue.nodes().filter(({ name }) => devices.includes(name));
  return {
    parts: nodes.map(({ name, path }) => {
      const dateMs = of.dateMs ?? parts.find(({ node }) => node === name)?.dateMs ?? 0;
      return { node: name, path, dateMs };
    }),
  };
}

type PartsOf = { readonly devices: readonly string[]; readonly dateMs?: number };

/** Reads the recovery data that `partsOf` made; values of another shape are left out. */
export function readParts(recovery: JobRecovery | null): readonly AffectedPart[] {
  const { parts } = recovery ?? {};
  return Array.isArray(parts) ? parts.filter(isPart) : [];
}

/** The node of a part if it has the same image and is writable; otherwise undefined. */
export function nodeOfPart(catalogue: Catalogue, { node, path }: AffectedPart): BlockNode | undefined {
  return catalogue.nodes().find((one) => one.name === node && one.path === path && !one.isReadOnly);
}

/** True if the node's image holds exactly the snapshot that the job worked on. */
export function holdsPart(catalogue: Catalogue, tag: string, { node, dateMs }: AffectedPart): boolean {
  const parts = catalogue.find(tag)?.parts ?? [];
  return parts.some((part) => part.node === node && part.dateMs === dateMs);
}

function isPart(value: unknown): value is AffectedPart {
  const { node, path, dateMs } = (value ?? {}) as Partial<AffectedPart>;
  return typeof node === 'string' && typeof path === 'string' && typeof dateMs === 'number';
}
