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
  /** The node that takes RAM and device state; one of `devices`. Null: only the disks are saved. */
  readonly vmState: string | null;
  readonly devices: readonly string[];
  /** If a snapshot has the tag: the save is refused (default), or replaces it once the new one is whole, or does nothing. */
  readonly existing?: 'refuse' | 'replace' | 'keep';
  readonly description?: string;
  /** Seconds after which it may be deleted. */
  readonly ttlSeconds?: number;
};

/** Phase in which a whole snapshot is being given its tag: what a recovery finishes. */
export const RENAMING = 'rename';

/** Phase of a save from which on its nodes may hold something half-made. */
export const WRITING = 'write';

/** Starts the job that saves the machine and its disks under a tag; refusals are errors of the job. @throws DomainError */
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

/** @throws DomainError for all that can be known, before there is a job, to rule the save out. */
export function refuseSave(parts: SaveParts, request: Omit<SaveRequest, 'jobId'>): void {
  refuseSaveAs(parts, request);
  const { tag, devices, existing = 'refuse' } = request;
  if (existing === 'replace') return;
  if (existing === 'refuse' || !isThere(parts, request)) refuseExisting(parts.catalogue, tag, devices);
}

/** True if a save that keeps what is there has nothing to do. */
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

/** The same but for a tag that is taken. */
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
    // The snapshot keeps the run state from before this stop.
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
    // It has taken the other's place: nothing is taken back any more, also if that cannot be kept.
    job.enterPhase(WORK_DONE);
  }
  setResult(parts, request, { job, existed: false });
}

/**
 * The snapshot that is to replace another was saved under a tag of its own, so that one of the two is whole at every moment;
 * now it takes the other's place. From here on the next start finishes it.
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
    // The old one stands alone again, or the next start finishes what has begun.
    if (hasBegun || codeOf(error) === 'engine_crashed') job.keepPhase();
    else await blocks.delete({ tag, devices: plan.devices }).ended.catch(() => job.keepPhase());
    throw error;
  });
}

/** A change of the tag may be done again: by the next thread if one died, and on a full disk in the room that is kept for that. */
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

/** The job completes once its phase is kept: until then the next start would take the snapshot for half-made. */
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

/** Now, in milliseconds since 1970; another moment than that of the snapshot to be replaced, since the date tells the two apart. */
function dateFor({ catalogue, clock }: SaveParts, { tag }: SaveRequest): number {
  const taken = catalogue.find(tag)?.parts.map(({ dateMs }) => dateMs) ?? [];
  let dateMs = clock.now();
  while (taken.includes(dateMs)) dateMs += 1;
  return dateMs;
}

/** How a snapshot is called until it takes the place of another. */
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
