import { DomainError, isErrorCode } from '../errors.ts';
import { jobRepaired } from '../jobs/job-journal.ts';
import type { BlockNodes, SnapshotTask } from '../ports/block-nodes.ts';
import type { Note, Report } from '../ports/process.ts';
import type { JobRecord, Store } from '../ports/store.ts';
import { writeOrReport } from '../store-reserve.ts';
import type { Catalogue } from './catalogue.ts';
import { codeOf, holdsPart, messageOf, nodeOfPart, readParts, type TouchedPart } from './snapshot-job.ts';
import { APPLYING } from './snapshot-load.ts';
import { DELETING } from './snapshot-removal.ts';
import { RENAMING, WRITING } from './snapshot-save.ts';
import { list, shown } from './snapshot-tag.ts';

export type RecoveryParts = {
  readonly blocks: Pick<BlockNodes, 'isActive' | 'delete' | 'rename' | 'applyDisks'>;
  readonly catalogue: Catalogue;
  readonly store: Pick<Store, 'jobs' | 'reserve'>;
  readonly note: Note;
  readonly report: Report;
};

/**
 * Repairs images after jobs that an earlier process could neither finish nor take back: a half saved snapshot is removed,
 * a half deleted one is removed from the other nodes, and disks that were being turned to a snapshot are turned to it, all
 * of them. Only images and snapshots are touched that the job had worked on; for images that are missing this time a later
 * start tries again, and inactive images are repaired when they become active. A repair may be interrupted and done again.
 */
export class SnapshotRecovery {
  readonly #parts: RecoveryParts;
  /** Interrupted jobs whose images were not active yet, oldest first. */
  #waiting: readonly JobRecord[] = [];

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  /**
   * Repairs what the jobs left, oldest first.
   * @throws DomainError if disks that belong together cannot be turned: no guest may run on them. Other faults are
   * reported, and left to the next start.
   */
  async atStart(jobs: readonly JobRecord[]): Promise<void> {
    if (!this.#parts.blocks.isActive) this.#waiting = jobs;
    else for (const job of jobs) await repair(this.#parts, job);
  }

  /**
   * Does what the start could not do because the images were inactive. They have come with a guest: its disks are as that
   * guest left them, and are not turned to a snapshot any more. Faults are reported.
   */
  async afterActivation(): Promise<void> {
    const jobs = this.#waiting;
    this.#waiting = [];
    for (const job of jobs) {
      const isLoad = job.type === 'snapshot-load' && job.phase === APPLYING;
      if (isLoad) writeOrReport(this.#parts, () => jobRepaired(this.#parts.store.jobs, job));
      else await repair(this.#parts, job);
    }
  }
}

async function repair(parts: RecoveryParts, job: JobRecord): Promise<void> {
  const { type, phase } = job;
  if (type === 'snapshot-load' && phase === APPLYING) return finishLoad(parts, job);
  try {
    if (type === 'snapshot-save' && phase === WRITING) await takeBackSave(parts, job);
    else if (type === 'snapshot-save' && phase === RENAMING) await finishReplacing(parts, job);
    else if (type === 'snapshot-delete' && phase === DELETING) await finishDeletion(parts, job);
    else jobRepaired(parts.store.jobs, job);
  } catch (error) {
    parts.report(error);
  }
}

async function takeBackSave(parts: RecoveryParts, job: JobRecord): Promise<void> {
  const { here, away } = partsFor(parts, job);
  await removeFrom(parts, job, here);
  jobRepaired(parts.store.jobs, job, away);
}

/** One of the two was whole at every moment; once the new one was, it takes the place of the other. */
async function finishReplacing(parts: RecoveryParts, job: JobRecord): Promise<void> {
  const { here, away } = partsFor(parts, job);
  const { as, 'date-ms': dateMs } = job.recovery ?? {};
  const devices = here.map(({ node }) => node);
  if (typeof as === 'string' && typeof dateMs === 'number' && devices.length > 0) {
    await finished(parts, parts.blocks.rename({ tag: tagOf(job), as, dateMs, devices }), { job, devices });
  }
  jobRepaired(parts.store.jobs, job, away);
}

/** A deletion that had not begun on any node did not happen. */
async function finishDeletion(parts: RecoveryParts, job: JobRecord): Promise<void> {
  const tag = tagOf(job);
  const { here, away } = partsFor(parts, job);
  const hasBegun = here.some((part) => !holdsPart(parts.catalogue, tag, part));
  if (hasBegun) await removeFrom(parts, job, here);
  // All of them: parts that are gone are what shows that it had begun.
  jobRepaired(parts.store.jobs, job, away.length === 0 ? [] : [...here, ...away]);
}

async function removeFrom(parts: RecoveryParts, job: JobRecord, touched: readonly TouchedPart[]): Promise<void> {
  const tag = tagOf(job);
  const devices = touched.filter((part) => holdsPart(parts.catalogue, tag, part)).map(({ node }) => node);
  if (devices.length > 0) await finished(parts, parts.blocks.delete({ tag, devices }), { job, devices });
}

async function finishLoad(parts: RecoveryParts, job: JobRecord): Promise<void> {
  const tag = tagOf(job);
  const { here, away } = partsFor(parts, job);
  const due = here.filter((part) => holdsPart(parts.catalogue, tag, part) && !wasLoadedSince(parts, job, part));
  const devices = due.map(({ node }) => node);
  if (devices.length > 0) await finished(parts, parts.blocks.applyDisks({ tag, devices }), { job, devices });
  jobRepaired(parts.store.jobs, job, away);
}

/** What a disk was turned to later, together with the others, is what it is to keep. */
function wasLoadedSince({ store }: RecoveryParts, { sequence }: JobRecord, { node }: TouchedPart): boolean {
  const query = {
    type: 'snapshot-load',
    outcome: 'completed',
    resource: `node:${node}`,
    limit: 1,
    cursor: null,
  } as const;
  const [newest] = store.jobs.list(query).items;
  return newest !== undefined && newest.sequence > sequence;
}

/** Parts whose image is there and can be written, and the others. */
function partsFor({ catalogue }: RecoveryParts, { recovery }: JobRecord) {
  const touched = readParts(recovery);
  return {
    here: touched.filter((part) => nodeOfPart(catalogue, part) !== undefined),
    away: touched.filter((part) => nodeOfPart(catalogue, part) === undefined),
  };
}

type Repair = { readonly job: JobRecord; readonly devices: readonly string[] };

/** Waits for a repair and logs it. @throws DomainError that says which work could not be put right, and where. */
async function finished({ note }: RecoveryParts, task: SnapshotTask, { job, devices }: Repair): Promise<void> {
  const left = `what ${job.type} '${job.id}' of ${shown(tagOf(job))} left on ${list(devices)}`;
  try {
    await task.ended;
    const details = { code: 'job_put_right', job: job.id, type: job.type, nodes: devices };
    note('an interrupted job was put right', { ...details, reason: `This start put right ${left}.` }, 'warn');
  } catch (cause) {
    const code = codeOf(cause) ?? '';
    const detail = `This start could not put right ${left}: ${messageOf(cause)}`;
    throw new DomainError(isErrorCode(code) ? code : 'engine_failed', detail, { cause });
  }
}

/** What it worked on: of a save that replaces another snapshot not what it was asked for. */
function tagOf({ details, recovery }: JobRecord): string {
  const tag = recovery?.tag ?? details.tag;
  return typeof tag === 'string' ? tag : '';
}
