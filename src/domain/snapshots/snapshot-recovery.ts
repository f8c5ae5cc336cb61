import { DomainError, isErrorCode } from '../errors.ts';
import { jobRepaired } from '../jobs/job-journal.ts';
import type { BlockNodes, SnapshotTask } from '../ports/block-nodes.ts';
import type { Note, Report } from '../ports/process.ts';
import type { JobRecord, Store } from '../ports/store.ts';
import { writeOrReport } from '../store-reserve.ts';
import type { Catalogue } from './catalogue.ts';
import { type AffectedPart, codeOf, holdsPart, messageOf, nodeOfPart, readParts } from './snapshot-job.ts';
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
 * Repairs images after jobs that an earlier process neither completed nor undid. It removes an incomplete snapshot,
 * completes a deletion, and switches all disks of an interrupted load. Only images and snapshots of the job are
 * changed. For a missing image a later start tries again, and inactive images are repaired when they become active. An
 * interrupted repair can be repeated.
 */
export class SnapshotRecovery {
  readonly #parts: RecoveryParts;
  /** Interrupted jobs whose images were inactive at the start, oldest first. */
  #waiting: readonly JobRecord[] = [];

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  /**
   * Repairs the images of these jobs, oldest first.
   * @throws DomainError if the disks of an interrupted load cannot be switched: no guest may run on them. Other errors
   * are reported, and the next start tries again.
   */
  async atStart(jobs: readonly JobRecord[]): Promise<void> {
    if (!this.#parts.blocks.isActive) this.#waiting = jobs;
    else for (const job of jobs) await repair(this.#parts, job);
  }

  /**
   * Repairs images that were inactive at the start. They came with a guest, so an interrupted load is not completed any
   * more: the disks must stay as that guest left them. Errors are reported.
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

/** An interrupted replacement is completed, because the new snapshot was complete before it began. */
async function finishReplacing(parts: RecoveryParts, job: JobRecord): Promise<void> {
  const { here, away } = partsFor(parts, job);
  const { as, 'date-ms': dateMs } = job.recovery ?? {};
  const devices = here.map(({ node }) => node);
  if (typeof as === 'string' && typeof dateMs === 'number' && devices.length > 0) {
    await finished(parts, parts.blocks.rename({ tag: tagOf(job), as, dateMs, devices }), { job, devices });
  }
  jobRepaired(parts.store.jobs, job, away);
}

/** A deletion that had not begun on any node is not completed. */
async function finishDeletion(parts: RecoveryParts, job: JobRecord): Promise<void> {
  const tag = tagOf(job);
  const { here, away } = partsFor(parts, job);
  const hasBegun = here.some((part) => !holdsPart(parts.catalogue, tag, part));
  if (hasBegun) await removeFrom(parts, job, here);
  // All parts are kept: the missing ones show later that the deletion had begun.
  jobRepaired(parts.store.jobs, job, away.length === 0 ? [] : [...here, ...away]);
}

async function removeFrom(parts: RecoveryParts, job: JobRecord, touched: readonly AffectedPart[]): Promise<void> {
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

/** True if a later load has switched the disk: then it stays as it is. */
function wasLoadedSince({ store }: RecoveryParts, { sequence }: JobRecord, { node }: AffectedPart): boolean {
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

/** Parts whose image is present and writable, and the others. */
function partsFor({ catalogue }: RecoveryParts, { recovery }: JobRecord) {
  const touched = readParts(recovery);
  return {
    here: touched.filter((part) => nodeOfPart(catalogue, part) !== undefined),
    away: touched.filter((part) => nodeOfPart(catalogue, part) === undefined),
  };
}

type Repair = { readonly job: JobRecord; readonly devices: readonly string[] };

/** Waits for a repair and logs it. @throws DomainError that names the job and the nodes of a failed repair. */
async function finished({ note }: RecoveryParts, task: SnapshotTask, { job, devices }: Repair): Promise<void> {
  const left = `the unfinished changes of ${job.type} '${job.id}' of ${shown(tagOf(job))} on ${list(devices)}`;
  try {
    await task.ended;
    const details = { code: 'job_put_right', job: job.id, type: job.type, nodes: devices };
    note('an interrupted job was repaired', { ...details, reason: `This start repaired ${left}.` }, 'warn');
  } catch (cause) {
    const code = codeOf(cause) ?? '';
    const detail = `This start could not repair ${left}: ${messageOf(cause)}`;
    throw new DomainError(isErrorCode(code) ? code : 'engine_failed', detail, { cause });
  }
}

/** The tag that the job worked on: for a replacing save it is the temporary tag. */
function tagOf({ details, recovery }: JobRecord): string {
  const tag = recovery?.tag ?? details.tag;
  return typeof tag === 'string' ? tag : '';
}
