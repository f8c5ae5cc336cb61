import type { Page } from '../cursor.ts';
import { DomainError, type ErrorCode, isErrorCode } from '../errors.ts';
import type { JobView } from '../jobs/job-spec.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { BlockNode, BlockNodes, DigestReading } from '../ports/block-nodes.ts';
import type { Clock, IdSource, Schedule } from '../ports/process.ts';
import type { JobRecord, OnInsert } from '../ports/store.ts';
import type { Catalogue, Snapshot, SnapshotQuery } from './catalogue.ts';
import type { JobOptions } from './snapshot-job.ts';
import { type LoadParts, type LoadRequest, loadSnapshot, refuseLoad } from './snapshot-load.ts';
import { nodesThatHold, nodesToDelete, nodesToSave, requireVmStateIn } from './snapshot-nodes.ts';
import {
  type CompactParts,
  type CompactRequest,
  compactImages,
  type DeleteParts,
  type DeleteRequest,
  deleteSnapshot,
  refuseDelete,
} from './snapshot-removal.ts';
import { refuseSave, type SaveParts, type SaveRequest, saveSnapshot } from './snapshot-save.ts';
import { KeptDigests, type VerifyParts, type VerifyRequest, verifySnapshot } from './verification.ts';

/**
 * Snapshots of the machine. Commands that work on images return a job, which may wait for other jobs; if the command is
 * refused then, the job fails with that error.
 */
export interface SnapshotUseCases {
  /** The block device nodes, in the order of the service's flags. */
  nodes(): readonly BlockNode[];
  list(query: SnapshotQuery): Page<Snapshot>;
  get(tag: string): Snapshot;
  /**
   * The stored digests of each part, in the order of the parts. Never rejects: a failed or late reading has a `fault`.
   */
  digests(snapshot: Snapshot): Promise<readonly DigestReading[]>;
  /** As in QEMU, a refused save, load or deletion fails the job. These throw only if no job can be started. */
  save(request: SaveRequest, onInsert?: OnInsert<JobView>): JobView;
  load(request: LoadRequest, onInsert?: OnInsert<JobView>): JobView;
  delete(request: DeleteRequest, onInsert?: OnInsert<JobView>): JobView;
  verify(request: VerifyRequest, onInsert?: OnInsert<JobView>): JobView;
  compact(request: CompactRequest, onInsert?: OnInsert<JobView>): JobView;
  /** @throws DomainError with the error that a job for this request would have now. */
  checkSave(request: Omit<SaveRequest, 'jobId'>): void;
  checkLoad(request: Omit<LoadRequest, 'jobId'>): void;
  checkDelete(request: Omit<DeleteRequest, 'jobId'>): void;
  /** The default nodes of a request; given nodes are not changed. */
  nodesToSave(): { readonly vmState: string; readonly devices: readonly string[] };
  nodesToLoad(
    tag: string,
    devices?: readonly string[],
  ): { readonly vmState: string; readonly devices: readonly string[] };
  nodesToVerify(
    tag: string,
    devices?: readonly string[],
  ): { readonly vmState: string | null; readonly devices: readonly string[] };
  nodesToDelete(tag: string, devices?: readonly string[]): readonly string[];
  newJobId(verb: string): string;
  /**
   * savevm: resolves with the name when it is saved; null: a new name. A snapshot with that name is replaced when the
   * new one is complete.
   */
  saveVm(name: string | null): Promise<string>;
  loadVm(name: string): Promise<void>;
  deleteVm(name: string): Promise<void>;
  listVm(): VmList;
}

export type SnapshotParts = SaveVmParts &
  DeleteParts &
  CompactParts &
  LoadParts &
  VerifyParts & { readonly blocks: Pick<BlockNodes, 'digests'>; readonly schedule: Schedule };

/** All use cases for the snapshots of one machine. */
export function snapshotUseCases(parts: SnapshotParts): SnapshotUseCases {
  const { catalogue } = parts;
  const digests = new KeptDigests(parts.blocks, parts.schedule);
  return {
    list: (query) => catalogue.list(query),
    get: (tag) => catalogue.get(tag),
    digests: (snapshot) => digests.of(snapshot),
    save: (request, onInsert) => saveSnapshot(parts, request, { onInsert }),
    load: (request, onInsert) => loadSnapshot(parts, request, { onInsert }),
    delete: (request, onInsert) => deleteSnapshot(parts, request, { onInsert }),
    verify: (request, onInsert) => verifySnapshot(parts, request, { onInsert }),
    compact: (request, onInsert) => compactImages(parts, request, { onInsert }),
    checkSave: (request) => refuseSave(parts, request),
    checkLoad: (request) => refuseLoad(parts, request),
    checkDelete: (request) => refuseDelete(parts, request),
    nodesToSave: () => nodesToSave(catalogue),
    nodesToLoad: (tag, given) => {
      const devices = given ?? nodesThatHold(catalogue, tag);
      return { devices, vmState: requireVmStateIn(catalogue.get(tag), devices) };
    },
    nodesToVerify: (tag, given) => {
      const { vmState, parts } = catalogue.get(tag);
      const devices = given ?? parts.map(({ node }) => node);
      return { devices, vmState: vmState !== null && devices.includes(vmState) ? vmState : null };
    },
    nodesToDelete: (tag, given) => nodesToDelete(catalogue, tag, given),
    nodes: () => catalogue.nodes(),
    newJobId: (verb) => `${verb}-${parts.ids()}`,
    saveVm: (name) => saveVm(parts, name),
    loadVm: (name) => loadVm(parts, name),
    deleteVm: (name) => deleteVm(parts, name),
    listVm: () => listVm(catalogue),
  };
}

/*
 * savevm, loadvm, delvm and info snapshots of a text monitor: each uses all writable nodes, and answers when the work
 * is done. Its job is not listed after its end.
 */

type WaitParts = { readonly jobs: Pick<Jobs, 'ended'>; readonly ids: IdSource };
export type SaveVmParts = SaveParts & WaitParts & { readonly clock: Clock };

/**
 * Saves with a name. A snapshot with that name is replaced when the new one is complete: it remains if the save fails
 * or a crash interrupts it. @returns the name.
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

/** Loads from all writable nodes; all of them must hold the name. */
export async function loadVm(parts: LoadParts & WaitParts, tag: string): Promise<void> {
  const { vmState, devices } = nodesToSave(parts.catalogue);
  const holder = parts.catalogue.find(tag)?.vmState ?? null;
  const request = { jobId: jobIdOf(parts, 'loadvm'), tag, vmState: holder ?? vmState, devices };
  refuseLoad(parts, request);
  await done(parts, loadSnapshot(parts, request, OWN));
}

/** Deletes from all writable nodes; it is not an error if none of them holds the name. */
export async function deleteVm(parts: DeleteParts & WaitParts, tag: string): Promise<void> {
  const { devices } = nodesToSave(parts.catalogue);
  refuseDelete(parts, { devices });
  await done(parts, deleteSnapshot(parts, { jobId: jobIdOf(parts, 'delvm'), tag, devices }, OWN));
}

/** The lists of `info snapshots`, oldest first: snapshots on all nodes, and the others. */
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

/** Resolves when the job has completed. @throws DomainError with the error of a job that did not complete. */
async function done({ jobs }: WaitParts, { id }: JobRecord): Promise<void> {
  let record = await jobs.ended(id, PATIENCE_MS);
  while (record.outcome === null) record = await jobs.ended(id, PATIENCE_MS);
  if (record.outcome === 'completed') return;
  const code: ErrorCode = isErrorCode(record.errorCode ?? '') ? (record.errorCode as ErrorCode) : 'job_failed';
  throw new DomainError(code, record.errorDescription ?? `Job '${id}' did not do its work.`);
}

/** Only the end of the job ends this wait; this is the longest delay of a timer. */
const PATIENCE_MS = 2 ** 31 - 1;

function jobIdOf({ ids }: WaitParts, verb: string): string {
  return `${verb}-${ids()}`;
}
