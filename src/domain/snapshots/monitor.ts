import type { Context } from '../context.ts';
import { DomainError, type ErrorCode, isErrorCode } from '../errors.ts';
import type { JobRecord } from '../store-ports.ts';
import type { Snapshot } from './catalogue.ts';
import { deleteSnapshot, refuseDelete } from './delete.ts';
import { nodesToSave } from './devices.ts';
import type { JobOptions } from './job-work.ts';
import { loadSnapshot, refuseLoad } from './load.ts';
import { refuseSave, saveSnapshot } from './save.ts';

/*
 * savevm, loadvm, delvm and info snapshots of a text monitor: each takes all nodes that can be written, and answers
 * when the work is done. The job is the monitor's own, and goes when it has ended.
 */

/**
 * Saves under a name. A snapshot that has the name is replaced once the new one is whole: a save that fails, or is cut short
 * by a crash, keeps it. @returns the name.
 */
export async function saveVm(context: Context, name: string | null): Promise<string> {
  const tag = name ?? nameOfNow(context.clock.now());
  const request = {
    jobId: jobIdOf(context, 'savevm'),
    tag,
    ...nodesToSave(context.catalogue),
    existing: 'replace',
  } as const;
  refuseSave(context, request);
  await done(context, saveSnapshot(context, request, OWN));
  return tag;
}

/** Loads from all nodes that can be written; all of them have to hold the name. */
export async function loadVm(context: Context, tag: string): Promise<void> {
  const { vmState, devices } = nodesToSave(context.catalogue);
  const holder = context.catalogue.find(tag)?.vmState ?? null;
  const request = { jobId: jobIdOf(context, 'loadvm'), tag, vmState: holder ?? vmState, devices };
  refuseLoad(context, request);
  await done(context, loadSnapshot(context, request, OWN));
}

/** Deletes from all nodes that can be written; a name that none of them holds is not an error. */
export async function deleteVm(context: Context, tag: string): Promise<void> {
  const { devices } = nodesToSave(context.catalogue);
  refuseDelete(context, { devices });
  await done(context, deleteSnapshot(context, { jobId: jobIdOf(context, 'delvm'), tag, devices }, OWN));
}

/** What `info snapshots` shows: oldest first, those that are on all nodes apart from those that are not. */
export type VmList = { readonly all: readonly Snapshot[]; readonly partial: readonly Snapshot[] };

export function listVm({ catalogue }: Context): VmList {
  const oldestFirst = catalogue.all().toReversed();
  return {
    all: oldestFirst.filter(({ isOnAllNodes }) => isOnAllNodes),
    partial: oldestFirst.filter(({ isOnAllNodes }) => !isOnAllNodes),
  };
}

/** `vm-YYYYmmddHHMMSS`, local time. */
export function nameOfNow(milliseconds: number): string {
  const now = new Date(milliseconds);
  const parts = [now.getMonth() + 1, now.getDate(), now.getHours(), now.getMinutes(), now.getSeconds()];
  return `vm-${now.getFullYear()}${parts.map((part) => String(part).padStart(2, '0')).join('')}`;
}

const OWN: JobOptions = { autoDismiss: true };

/** Resolves when the job did what it was to do. @throws DomainError with what kept it from that. */
async function done({ jobs }: Context, { id }: JobRecord): Promise<void> {
  let record = await jobs.ended(id, PATIENCE_MS);
  while (record.outcome === null) record = await jobs.ended(id, PATIENCE_MS);
  if (record.outcome === 'completed') return;
  const code: ErrorCode = isErrorCode(record.errorCode ?? '') ? (record.errorCode as ErrorCode) : 'job_failed';
  throw new DomainError(code, record.errorDescription ?? `Job '${id}' did not do its work.`);
}

/** There is no end to this wait but the job's; a timer cannot be set for longer. */
const PATIENCE_MS = 2 ** 31 - 1;

function jobIdOf({ ids }: Context, verb: string): string {
  return `${verb}-${ids()}`;
}
