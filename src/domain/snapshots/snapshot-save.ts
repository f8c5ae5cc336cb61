import type { Guest } from '../guest/guest.ts';
import { holdForSnapshot, releaseFromSnapshot } from '../guest/guest-interruptions.ts';
import { type JobControl, type JobView, WORK_DONE } from '../jobs/job-spec.ts';
import type { BlockNodes, RenamePlan, SaveOrder, SnapshotAbout } from '../ports/block-nodes.ts';
import type { Hypervisor } from '../ports/hypervisor.ts';
import type { Clock, IdSource } from '../ports/process.ts';
import type { Store } from '../ports/store.ts';
import type { Settings } from '../settings/settings.ts';
import { keepIfPossible } from '../store-reserve.ts';
import type { Catalogue } from './catalogue.ts';
import {
  codeOf,
  type JobOptions,
  partsOf,
  type StartParts,
  startJob,
  throwIfCancelled,
  workOn,
} from './snapshot-job.ts';
import {
  checkDevices,
  checkVmState,
  holdersOf,
  leftOut,
  type RefusalParts,
  refuseExisting,
  refuseMachineSnapshot,
} from './snapshot-nodes.ts';
import { checkDescription, checkTag } from './snapshot-tag.ts';

export type SaveParts = StartParts &
  RefusalParts & {
    readonly catalogue: Catalogue;
    readonly blocks: Pick<BlockNodes, 'nodes' | 'save' | 'delete' | 'rename'>;
    readonly machine: Pick<Hypervisor, 'clockNs' | 'describe'>;
    readonly guest: Guest;
    readonly settings: Settings;
    readonly store: Pick<Store, 'reserve'>;
    readonly clock: Clock;
    readonly ids: IdSource;
  };

export type SaveRequest = {
  readonly jobId: string;
  readonly tag: string;
  /** The node that stores RAM and device state; one of `devices`. Null: only the disks are saved. */
  readonly vmState: string | null;
  readonly devices: readonly string[];
  /**
   * If the tag is taken: `refuse` (default), `replace` it when the new one is complete, or `keep` it and do nothing.
   */
  readonly existing?: 'refuse' | 'replace' | 'keep';
  readonly description?: string;
  /** Seconds after which it may be deleted. */
  readonly ttlSeconds?: number;
};

/** Phase in which a complete snapshot gets its tag; a recovery completes it. */
export const RENAMING = 'rename';

/** Phase from which on nodes may have an incomplete snapshot. */
export const WRITING = 'write';

/**
 * Starts the job that saves machine and disks. An impossible save fails the job. @throws DomainError if no job can be
 * started
 */
export function saveSnapshot(parts: SaveParts, request: SaveRequest, options: JobOptions = {}): JobView {
  const { tag, vmState, devices } = request;
  return startJob(parts, {
    ...options,
    id: request.jobId,
    type: 'snapshot-save',
    needsMachine: true,
    details: { tag, vmstate: vmState, devices, ...detailsOf(request) },
    run: (job) => save(parts, request, job),
  });
}

/** @throws DomainError if the save is already known to be impossible. */
export function refuseSave(parts: SaveParts, request: Omit<SaveRequest, 'jobId'>): void {
  refuseSaveAs(parts, request);
  const { tag, devices, existing = 'refuse' } = request;
  if (existing === 'replace') return;
  if (existing === 'refuse' || !isThere(parts, request)) refuseExisting(parts.catalogue, tag, devices);
}

/** True if a save with `keep` has nothing to do. */
function isThere({ catalogue }: SaveParts, { tag, vmState, devices }: Omit<SaveRequest, 'jobId'>): boolean {
  const found = catalogue.find(tag);
  if (found === null || holdersOf(found, devices).length < devices.length) return false;
  return found.isConsistent && (vmState === null || found.vmState !== null);
}

function detailsOf({ existing = 'refuse', description, ttlSeconds }: SaveRequest) {
  return {
    ...(existing === 'refuse' ? {} : { existing }),
    ...(description === undefined ? {} : { description }),
    ...(ttlSeconds === undefined ? {} : { ttl: ttlSeconds }),
  };
}

/** Like `refuseSave`, without the check of a taken tag. */
function refuseSaveAs(parts: SaveParts, request: Omit<SaveRequest, 'jobId'>): void {
  const { tag, vmState, devices, description } = request;
  checkTag(tag);
  if (description !== undefined) checkDescription(description);
  checkDevices(parts.catalogue, devices);
  if (vmState !== null) checkVmState(parts.catalogue, devices, vmState);
  refuseMachineSnapshot(parts);
  parts.occupancy.refuse('machine capture');
}

async function save(parts: SaveParts, request: SaveRequest, job: JobControl): Promise<void> {
  const { guest, catalogue } = parts;
  refuseSave(parts, request);
  if (request.existing === 'keep' && isThere(parts, request)) return setResult(parts, request, { job, existed: true });
  const warning = leftOut(catalogue, request.devices);
  if (warning !== null) job.warn(warning);
  let plan: SaveOrder;
  try {
    // The snapshot stores the run state from before this stop.
    await holdForSnapshot(guest, 'save-vm');
    throwIfCancelled(job);
    plan = planFor(parts, request);
    job.setPhase(WRITING, { ...partsOf(catalogue, plan.tag, plan), tag: plan.tag });
    const task = parts.blocks.save(plan);
    await workOn(job, task, async () => {
      await task.captured;
      releaseFromSnapshot(guest);
      await task.ended;
    });
  } finally {
    releaseFromSnapshot(guest);
  }
  if (plan.tag === request.tag) await enterDone(parts, request, job);
  else {
    await giveTag(parts, { plan, request }, job);
    // The replacement is done; a later failure does not undo it.
    job.enterPhase(WORK_DONE);
  }
  setResult(parts, request, { job, existed: false });
}

/**
 * A replacing snapshot is saved under a temporary tag, so that one of both is complete at every moment, and gets its
 * tag here. The next start completes an interrupted rename.
 */
async function giveTag(
  parts: SaveParts,
  { plan, request }: { readonly plan: SaveOrder; readonly request: SaveRequest },
  job: JobControl,
): Promise<void> {
  const { blocks, catalogue } = parts;
  const { tag, dateMs } = plan;
  const holders = catalogue.find(request.tag)?.parts.map(({ node }) => node) ?? [];
  const writable = blocks.nodes().filter(({ isReadOnly }) => !isReadOnly);
  const devices = writable.map(({ name }) => name).filter((name) => [...plan.devices, ...holders].includes(name));
  try {
    job.cannotBeCancelled();
    job.setPhase(RENAMING, {
      ...partsOf(catalogue, tag, { devices, dateMs }),
      tag,
      as: request.tag,
      'date-ms': dateMs,
    });
  } catch (error) {
    await blocks.delete({ tag, devices: plan.devices }).ended.catch(() => job.keepPhase());
    throw error;
  }
  await renameInRoom(parts, { tag, as: request.tag, dateMs, devices }).catch(async (error: unknown) => {
    const hasBegun = catalogue.find(request.tag)?.parts.some((part) => part.dateMs === dateMs) === true;
    // Either the old snapshot remains alone, or the next start completes the rename.
    if (hasBegun || codeOf(error) === 'engine_crashed') job.keepPhase();
    else await blocks.delete({ tag, devices: plan.devices }).ended.catch(() => job.keepPhase());
    throw error;
  });
}

/** Renames; tries again after a crash of the thread, or on a full disk with the reserved space. */
async function renameInRoom({ blocks, store }: SaveParts, plan: RenamePlan): Promise<void> {
  try {
    await blocks.rename(plan).ended;
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'engine_crashed' && (code !== 'no_space' || !store.reserve.free())) throw error;
    await blocks.rename(plan).ended;
    if (code === 'no_space') keepIfPossible(store);
  }
}

function setResult(
  { catalogue }: SaveParts,
  { tag }: SaveRequest,
  { job, existed }: { readonly job: JobControl; readonly existed: boolean },
): void {
  job.setResult({ tag, 'vm-state-size': catalogue.find(tag)?.vmStateBytes ?? 0, existed });
}

/** Without this phase the next start would delete the snapshot as incomplete. */
async function enterDone({ blocks }: SaveParts, { tag, devices }: SaveRequest, job: JobControl): Promise<void> {
  try {
    job.setPhase(WORK_DONE);
  } catch (error) {
    await blocks.delete({ tag, devices }).ended.catch(() => job.keepPhase());
    throw error;
  }
}

function planFor(parts: SaveParts, request: SaveRequest): SaveOrder {
  const { machine, guest, settings } = parts;
  const { tag, vmState, devices } = request;
  const isTaken = request.existing === 'replace' && parts.catalogue.find(tag) !== null;
  return {
    tag: isTaken ? `${UNNAMED}${parts.ids()}` : tag,
    vmState,
    devices,
    globalState: guest.runState.interrupted,
    detectsZeroPages: settings.detectsZeroPages(),
    dateMs: dateFor(parts, request),
    clockNs: machine.clockNs(),
    about: aboutOf(parts, request),
  };
}

/** Milliseconds since 1970, different from the replaced snapshot's date, which distinguishes them. */
function dateFor({ catalogue, clock }: SaveParts, { tag }: SaveRequest): number {
  const taken = catalogue.find(tag)?.parts.map(({ dateMs }) => dateMs) ?? [];
  let dateMs = clock.now();
  while (taken.includes(dateMs)) dateMs += 1;
  return dateMs;
}

/** Prefix of the temporary tag. */
const UNNAMED = '.vmferry-new-';

function aboutOf({ machine, clock }: SaveParts, { description, ttlSeconds }: SaveRequest): SnapshotAbout {
  const { ramBlocks, vcpus } = machine.describe();
  return {
    description: description ?? null,
    expiresAtMs: ttlSeconds === undefined ? null : clock.now() + ttlSeconds * 1000,
    ramBytes: ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0),
    vcpus,
  };
}
