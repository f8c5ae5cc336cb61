import type { Context } from '../context.ts';
import { DomainError, isErrorCode } from '../errors.ts';
import { jobPutRight } from '../jobs/recovery.ts';
import { saveAndTell } from '../migration/apply.ts';
import type { SnapshotTask } from '../snapshot-port.ts';
import type { JobRecord } from '../store-ports.ts';
import { DELETING } from './delete.ts';
import { list } from './devices.ts';
import { codeOf, messageOf } from './job-work.ts';
import { APPLYING } from './load.ts';
import { holdsPart, nodeOfPart, readParts, type TouchedPart } from './parts.ts';
import { RENAMING, WRITING } from './save.ts';
import { shown } from './tag.ts';

/**
 * Makes the images agree again after work that could not take back or finish what it had begun: what was half saved
 * goes, what was half deleted goes from the rest, and disks that were being turned to a snapshot are turned to it, all
 * of them. Only images and snapshots are touched that the job had worked on; for those that are not there this time a
 * later start tries again, and for those that are inactive it is done when they become active. May be run again, as often as it is interrupted itself.
 * @throws DomainError if disks that belong together cannot be turned: no guest may run on them. What else cannot be put
 * right is reported, and left to the next start.
 */
export async function recoverSnapshots(context: Context, jobs: readonly JobRecord[]): Promise<void> {
  if (!context.blocks.isActive) {
    context.unrecovered = jobs;
    return;
  }
  for (const job of jobs) await putRight(context, job);
}

/**
 * Does what could not be done at the start since the images were inactive then. They have come with a guest: its disks
 * are as that guest left them, and are not turned to a snapshot any more. What cannot be put right is reported.
 */
export async function recoverAfterArrival(context: Context): Promise<void> {
  const jobs = context.unrecovered;
  context.unrecovered = [];
  for (const job of jobs) {
    const isLoad = job.type === 'snapshot-load' && job.phase === APPLYING;
    if (isLoad) saveAndTell(context, () => jobPutRight(context, job));
    else await putRight(context, job);
  }
}

async function putRight(context: Context, job: JobRecord): Promise<void> {
  const { type, phase } = job;
  if (type === 'snapshot-load' && phase === APPLYING) return finishLoad(context, job);
  try {
    if (type === 'snapshot-save' && phase === WRITING) await takeBackSave(context, job);
    else if (type === 'snapshot-save' && phase === RENAMING) await finishReplacing(context, job);
    else if (type === 'snapshot-delete' && phase === DELETING) await finishDeletion(context, job);
    else jobPutRight(context, job);
  } catch (error) {
    context.report(error);
  }
}

async function takeBackSave(context: Context, job: JobRecord): Promise<void> {
  const { here, away } = partsFor(context, job);
  await removeFrom(context, job, here);
  jobPutRight(context, job, away);
}

/** One of the two was whole at every moment; once the new one was, it takes the place of the other. */
async function finishReplacing(context: Context, job: JobRecord): Promise<void> {
  const { here, away } = partsFor(context, job);
  const { as, 'date-ms': dateMs } = job.recovery ?? {};
  const devices = here.map(({ node }) => node);
  if (typeof as === 'string' && typeof dateMs === 'number' && devices.length > 0) {
    await finished(context, context.blocks.rename({ tag: tagOf(job), as, dateMs, devices }), { job, devices });
  }
  jobPutRight(context, job, away);
}

/** A deletion that had not begun on any node did not happen. */
async function finishDeletion(context: Context, job: JobRecord): Promise<void> {
  const tag = tagOf(job);
  const { here, away } = partsFor(context, job);
  const hasBegun = here.some((part) => !holdsPart(context, tag, part));
  if (hasBegun) await removeFrom(context, job, here);
  // All of them: parts that are gone are what shows that it had begun.
  jobPutRight(context, job, away.length === 0 ? [] : [...here, ...away]);
}

async function removeFrom(context: Context, job: JobRecord, parts: readonly TouchedPart[]): Promise<void> {
  const tag = tagOf(job);
  const devices = parts.filter((part) => holdsPart(context, tag, part)).map(({ node }) => node);
  if (devices.length > 0) await finished(context, context.blocks.delete({ tag, devices }), { job, devices });
}

async function finishLoad(context: Context, job: JobRecord): Promise<void> {
  const tag = tagOf(job);
  const { here, away } = partsFor(context, job);
  const due = here.filter((part) => holdsPart(context, tag, part) && !wasLoadedSince(context, job, part));
  const devices = due.map(({ node }) => node);
  if (devices.length > 0) await finished(context, context.blocks.applyDisks({ tag, devices }), { job, devices });
  jobPutRight(context, job, away);
}

/** What a disk was turned to later, together with the others, is what it is to keep. */
function wasLoadedSince({ store }: Context, { sequence }: JobRecord, { node }: TouchedPart): boolean {
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
function partsFor(context: Context, { recovery }: JobRecord) {
  const parts = readParts(recovery);
  return {
    here: parts.filter((part) => nodeOfPart(context, part) !== undefined),
    away: parts.filter((part) => nodeOfPart(context, part) === undefined),
  };
}

type Repair = { readonly job: JobRecord; readonly devices: readonly string[] };

/** Waits for a repair and logs it. @throws DomainError that says which work could not be put right, and where. */
async function finished({ note }: Context, task: SnapshotTask, { job, devices }: Repair): Promise<void> {
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
