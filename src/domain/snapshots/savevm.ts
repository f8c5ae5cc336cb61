import { DomainError, type ErrorCode, isErrorCode } from '../errors.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Clock, IdSource } from '../ports/process.ts';
import type { JobRecord } from '../ports/store.ts';
import type { Catalogue, Snapshot } from './catalogue.ts';
import type { JobOptions } from './snapshot-job.ts';
import { type LoadParts, loadSnapshot, refuseLoad } from './snapshot-load.ts';
import { nodesToSave } from './snapshot-nodes.ts';
import { type DeleteParts, deleteSnapshot, refuseDelete } from './snapshot-removal.ts';
import { refuseSave, type SaveParts, saveSnapshot } from './snapshot-save.ts';

/*
 * savevm, loadvm, delvm and info snapshots of a text monitor: each takes all nodes that can be written, and answers
 * when the work is done. The job is the monitor's own, and goes when it has ended.
 */

type WaitParts = { readonly jobs: Pick<Jobs, 'ended'>; readonly ids: IdSource };
export type SaveVmParts = SaveParts & WaitParts & { readonly clock: Clock };

/**
 * Saves under a name. A snapshot that has the name is replaced once the new one is whole: a save that fails, or is cut short
 * by a crash, keeps it. @returns the name.
 */
export async function saveVm(parts: SaveVmParts, name: string | null): Promise<string> {
  const tag = name ?? nameOfNow(parts.clock.now());
  const request = {
    jobId: jobIdOf(parts, 'savevm'),
    tag,
    ...nodesToSave(parts.catalogue),
    existing: 'replace',
  } as const;
  refuseSave(parts, request);
  await done(parts, saveSnapshot(parts, request, OWN));
  return tag;
}

/** Loads from all nodes that can be written; all of them have to hold the name. */
export async function loadVm(parts: LoadParts & WaitParts, tag: string): Promise<void> {
  const { vmState, devices } = nodesToSave(parts.catalogue);
  const holder = parts.catalogue.find(tag)?.vmState ?? null;
  const request = { jobId: jobIdOf(parts, 'loadvm'), tag, vmState: holder ?? vmState, devices };
  refuseLoad(parts, request);
  await done(parts, loadSnapshot(parts, request, OWN));
}

/** Deletes from all nodes that can be written; a name that none of them holds is not an error. */
export async function deleteVm(parts: DeleteParts & WaitParts, tag: string): Promise<void> {
  const { devices } = nodesToSave(parts.catalogue);
  refuseDelete(parts, { devices });
  await done(parts, deleteSnapshot(parts, { jobId: jobIdOf(parts, 'delvm'), tag, devices }, OWN));
}

/** What `info snapshots` shows: oldest first, those that are on all nodes apart from those that are not. */
export type VmList = { readonly all: readonly Snapshot[]; readonly partial: readonly Snapshot[] };

export function listVm(catalogue: Catalogue): VmList {
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

/** Resolves when the job has completed. @throws DomainError with the error of a job that did not. */
async function done({ jobs }: WaitParts, { id }: JobRecord): Promise<void> {
  let record = await jobs.ended(id, PATIENCE_MS);
  while (record.outcome === null) record = await jobs.ended(id, PATIENCE_MS);
  if (record.outcome === 'completed') return;
  const code: ErrorCode = isErrorCode(record.errorCode ?? '') ? (record.errorCode as ErrorCode) : 'job_failed';
  throw new DomainError(code, record.errorDescription ?? `Job '${id}' did not do its work.`);
}

/** There is no end to this wait but the job's; a timer cannot be set for longer. */
const PATIENCE_MS = 2 ** 31 - 1;

function jobIdOf({ ids }: WaitParts, verb: string): string {
  return `${verb}-${ids()}`;
}
