import { DomainError } from '../errors.ts';
import type { JobControl, JobRecovery, JobSpec, JobView } from '../jobs/job-spec.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Occupancy } from '../occupancy.ts';
import type { BlockNode, DamageReport, SnapshotError, SnapshotTask } from '../ports/block-nodes.ts';
import type { Catalogue } from './catalogue.ts';

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

/** A snapshot in one image: what a job was about to make, remove or turn a disk to. */
export type TouchedPart = {
  readonly node: string;
  /** Of the image: by the next start the node may have another. */
  readonly path: string;
  /** Tells it from a later snapshot of the same tag. */
  readonly dateMs: number;
};

/** What a recovery has to know of a snapshot that is there on these nodes, or will be, with `dateMs`. */
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

/** The other way round; anything that is not a part is left out. */
export function readParts(recovery: JobRecovery | null): readonly TouchedPart[] {
  const { parts } = recovery ?? {};
  return Array.isArray(parts) ? parts.filter(isPart) : [];
}

/** The node as it was for the job: the same image, which can be written. Undefined if there is none. */
export function nodeOfPart(catalogue: Catalogue, { node, path }: TouchedPart): BlockNode | undefined {
  return catalogue.nodes().find((one) => one.name === node && one.path === path && !one.isReadOnly);
}

/** True if the node's image holds the very snapshot that the job worked on. */
export function holdsPart(catalogue: Catalogue, tag: string, { node, dateMs }: TouchedPart): boolean {
  const parts = catalogue.find(tag)?.parts ?? [];
  return parts.some((part) => part.node === node && part.dateMs === dateMs);
}

function isPart(value: unknown): value is TouchedPart {
  const { node, path, dateMs } = (value ?? {}) as Partial<TouchedPart>;
  return typeof node === 'string' && typeof path === 'string' && typeof dateMs === 'number';
}
