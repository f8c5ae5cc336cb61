import type { Context } from '../context.ts';
import type { SeenJob } from '../jobs/line.ts';
import { type JobControl, WORK_DONE } from '../jobs/spec.ts';
import { keepIfPossible } from '../jobs/with-reserve.ts';
import { holdForSnapshot, letGuestGo } from '../machine/snapshot-steps.ts';
import type { Machine, TransferSource } from '../ports.ts';
import type { RenamePlan, SavePlan, SnapshotAbout } from '../snapshot-port.ts';
import { checkDescription } from './description.ts';
import { checkDevices, checkVmState, holdersOf, leftOut, refuseExisting } from './devices.ts';
import { codeOf, type JobOptions, startJob, throwIfCancelled, workOn } from './job-work.ts';
import { partsOf } from './parts.ts';
import { refuseBusyMachine, refuseEmptyMachine } from './refusals.ts';
import { checkTag } from './tag.ts';

export type SaveRequest = {
  readonly jobId: string;
  readonly tag: string;
  /** The node that takes RAM and device state; one of `devices`. Null: only the disks are saved. */
  readonly vmState: string | null;
  readonly devices: readonly string[];
  /** What becomes of a snapshot that has the tag: it stands in the way (default), goes once the new one is whole, or stays. */
  readonly existing?: 'refuse' | 'replace' | 'keep';
  readonly description?: string;
  /** Seconds after which it may be deleted. */
  readonly ttlSeconds?: number;
};

/** Phase in which a whole snapshot is being given its tag: what a recovery finishes. */
export const RENAMING = 'rename';

/** Phase of a save from which on its nodes may hold something half-made. */
export const WRITING = 'write';

/** The job that saves the machine and its disks under a tag; what rules that out is the job's to say. @throws DomainError */
export function saveSnapshot(context: Context, request: SaveRequest, options: JobOptions = {}): SeenJob {
  const { tag, vmState, devices } = request;
  return startJob(context, {
    ...options,
    id: request.jobId,
    type: 'snapshot-save',
    needsMachine: true,
    details: { tag, vmstate: vmState, devices, ...detailsOf(request) },
    run: (job) => save(context, request, job),
  });
}

/** @throws DomainError for all that can be known, before there is a job, to rule the save out. */
export function refuseSave(context: Context, request: Omit<SaveRequest, 'jobId'>): void {
  refuseSaveAs(context, request);
  const { tag, devices, existing = 'refuse' } = request;
  if (existing === 'replace') return;
  if (existing === 'refuse' || !isThere(context, request)) refuseExisting(context.catalogue, tag, devices);
}

/** True if a save that keeps what is there has nothing to do. */
function isThere({ catalogue }: Context, { tag, vmState, devices }: Omit<SaveRequest, 'jobId'>): boolean {
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
function refuseSaveAs(context: Context, request: Omit<SaveRequest, 'jobId'>): void {
  const { tag, vmState, devices, description } = request;
  checkTag(tag);
  if (description !== undefined) checkDescription(description);
  checkDevices(context.catalogue, devices);
  if (vmState !== null) checkVmState(context.catalogue, devices, vmState);
  refuseBusyMachine(context);
  refuseEmptyMachine(context);
}

async function save(context: Context, request: SaveRequest, job: JobControl): Promise<void> {
  refuseSave(context, request);
  if (request.existing === 'keep' && isThere(context, request))
    return sayResult(context, request, { job, existed: true });
  const warning = leftOut(context.catalogue, request.devices);
  if (warning !== null) job.warn(warning);
  let plan: SavePlan;
  try {
    // What it was before it was stopped is what the snapshot says of it.
    await holdForSnapshot(context, 'save-vm');
    throwIfCancelled(job);
    plan = planFor(context, request);
    job.setPhase(WRITING, { ...partsOf(context, plan.tag, plan), tag: plan.tag });
    const task = context.blocks.save(plan);
    await workOn(job, task, async () => {
      await task.captured;
      letGuestGo(context);
      await task.ended;
    });
  } finally {
    letGuestGo(context);
  }
  if (plan.tag === request.tag) await sayDone(context, request, job);
  else {
    await giveTag(context, { plan, request }, job);
    // It has taken the other's place: nothing is taken back any more, also if that cannot be kept.
    job.enterPhase(WORK_DONE);
  }
  sayResult(context, request, { job, existed: false });
}

/**
 * The snapshot that is to replace another was saved under a tag of its own, so that one of the two is whole at every moment;
 * now it takes the other's place. From here on the next start finishes it.
 */
async function giveTag(
  context: Context,
  { plan, request }: { readonly plan: SavePlan; readonly request: SaveRequest },
  job: JobControl,
): Promise<void> {
  const { blocks, catalogue } = context;
  const { tag, dateMs } = plan;
  const holders = catalogue.find(request.tag)?.parts.map(({ node }) => node) ?? [];
  const writable = blocks.nodes().filter(({ isReadOnly }) => !isReadOnly);
  const devices = writable.map(({ name }) => name).filter((name) => [...plan.devices, ...holders].includes(name));
  try {
    job.cannotBeCancelled();
    job.setPhase(RENAMING, { ...partsOf(context, tag, { devices, dateMs }), tag, as: request.tag, 'date-ms': dateMs });
  } catch (error) {
    await blocks.delete({ tag, devices: plan.devices }).ended.catch(() => job.keepPhase());
    throw error;
  }
  await renameInRoom(context, { tag, as: request.tag, dateMs, devices }).catch(async (error: unknown) => {
    const hasBegun = catalogue.find(request.tag)?.parts.some((part) => part.dateMs === dateMs) === true;
    // The old one stands alone again, or the next start finishes what has begun.
    if (hasBegun || codeOf(error) === 'engine_crashed') job.keepPhase();
    else await blocks.delete({ tag, devices: plan.devices }).ended.catch(() => job.keepPhase());
    throw error;
  });
}

/** A change of the tag may be done again: by the next thread if one died, and on a full disk in the room that is kept for that. */
async function renameInRoom({ blocks, store }: Context, plan: RenamePlan): Promise<void> {
  try {
    await blocks.rename(plan).ended;
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'engine_crashed' && (code !== 'no_space' || !store.reserve.free())) throw error;
    await blocks.rename(plan).ended;
    if (code === 'no_space') keepIfPossible(store);
  }
}

function sayResult(
  { catalogue }: Context,
  { tag }: SaveRequest,
  { job, existed }: { readonly job: JobControl; readonly existed: boolean },
): void {
  job.setResult({ tag, 'vm-state-size': catalogue.find(tag)?.vmStateBytes ?? 0, existed });
}

/** Nobody is told of a snapshot that the next start would take for half-made: it is there once that can be kept. */
async function sayDone({ blocks }: Context, { tag, devices }: SaveRequest, job: JobControl): Promise<void> {
  try {
    job.setPhase(WORK_DONE);
  } catch (error) {
    await blocks.delete({ tag, devices }).ended.catch(() => job.keepPhase());
    throw error;
  }
}

function planFor(context: Context, request: SaveRequest): SavePlan {
  const { machine, runState, settings } = context;
  const { tag, vmState, devices } = request;
  const isTaken = request.existing === 'replace' && context.catalogue.find(tag) !== null;
  return {
    tag: isTaken ? `${UNNAMED}${context.ids()}` : tag,
    vmState,
    devices,
    source: copiedSource(machine),
    globalState: runState.interrupted,
    detectsZeroPages: settings.detectsZeroPages(),
    dateMs: dateFor(context, request),
    clockNs: machine.clockNs(),
    about: aboutOf(context, request),
  };
}

/** Now, in milliseconds since 1970; another moment than that of the snapshot to be replaced, since the date tells the two apart. */
function dateFor({ catalogue, clock }: Context, { tag }: SaveRequest): number {
  const taken = catalogue.find(tag)?.parts.map(({ dateMs }) => dateMs) ?? [];
  let dateMs = clock.now();
  while (taken.includes(dateMs)) dateMs += 1;
  return dateMs;
}

/** How a snapshot is called until it takes the place of another. */
const UNNAMED = '.vmferry-new-';

function aboutOf({ machine, clock }: Context, { description, ttlSeconds }: SaveRequest): SnapshotAbout {
  const { ramBlocks, vcpus } = machine.describe();
  return {
    description: description ?? null,
    expiresAtMs: ttlSeconds === undefined ? null : clock.now() + ttlSeconds * 1000,
    ramBytes: ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0),
    vcpus,
  };
}

/**
 * What is saved of devices is a copy: the workload may be changed while the guest stands still, by this thread, and the
 * other one must not find the half of that.
 */
function copiedSource(machine: Machine): TransferSource {
  const source = machine.transferSource();
  if (source.state.form !== 'devices') return source;
  const devices = source.state.devices.map((device) => ({ ...device, body: copyOf(device.body) }));
  return { ...source, state: { form: 'devices', devices } };
}

function copyOf(body: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(body.length));
  copy.set(body);
  return copy;
}
