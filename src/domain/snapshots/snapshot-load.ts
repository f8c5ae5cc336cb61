import type { Guest } from '../guest/guest.ts';
import {
  holdForSnapshot,
  keepGuestStopped,
  releaseFromSnapshot,
  releaseLoadedGuest,
} from '../guest/guest-interruptions.ts';
import type { JobControl, JobView } from '../jobs/job-spec.ts';
import type { BlockNodes, LoadOrder, LoadTask, SnapshotError } from '../ports/block-nodes.ts';
import type { Identity } from '../ports/process.ts';
import type { Settings } from '../settings/settings.ts';
import type { Catalogue } from './catalogue.ts';
import {
  codeOf,
  type JobOptions,
  messageOf,
  partsOf,
  type StartParts,
  startJob,
  throwIfCancelled,
  workOn,
} from './snapshot-job.ts';
import {
  checkDevices,
  checkVmState,
  leftOut,
  ofOtherMoments,
  type RefusalParts,
  refuseMachineSnapshot,
  requireOnAll,
  requireVmState,
} from './snapshot-nodes.ts';

export type LoadParts = StartParts &
  RefusalParts & {
    readonly guest: Guest;
    readonly catalogue: Catalogue;
    readonly blocks: Pick<BlockNodes, 'load' | 'applyDisks'>;
    readonly settings: Settings;
    readonly identity: Identity;
  };

type RunningLoad = { readonly task: LoadTask; readonly job: JobControl; readonly request: LoadRequest };

export type LoadRequest = {
  readonly jobId: string;
  readonly tag: string;
  /** The node that has the VM state; one of `devices`. */
  readonly vmState: string;
  readonly devices: readonly string[];
};

/** Phase of a load from which on it is finished, by the next start if this process does not come to it. */
export const APPLYING = 'apply';
/** Phases behind that: a guest runs on these disks again, so they stay as they are whatever happens. */
const APPLIED = 'release';
const TURNED_BACK = 'revert';

/** Starts the job that replaces the machine and its disks by a snapshot; refusals are errors of the job. @throws DomainError */
export function loadSnapshot(parts: LoadParts, request: LoadRequest, options: JobOptions = {}): JobView {
  const { tag, vmState, devices } = request;
  return startJob(parts, {
    ...options,
    id: request.jobId,
    type: 'snapshot-load',
    needsMachine: true,
    details: { tag, vmstate: vmState, devices },
    run: (job) => load(parts, request, job),
  });
}

/** @throws DomainError for all that can be known, before there is a job, to rule the load out. */
export function refuseLoad(parts: LoadParts, { tag, vmState, devices }: Omit<LoadRequest, 'jobId'>): void {
  checkDevices(parts.catalogue, devices);
  checkVmState(parts.catalogue, devices, vmState);
  requireVmState(requireOnAll(parts.catalogue, tag, devices), vmState);
  refuseMachineSnapshot(parts);
}

async function load(parts: LoadParts, request: LoadRequest, job: JobControl): Promise<void> {
  refuseLoad(parts, request);
  const { catalogue, guest } = parts;
  const moments = ofOtherMoments(catalogue.get(request.tag), request.devices);
  for (const warning of [leftOut(catalogue, request.devices), moments]) if (warning !== null) job.warn(warning);
  // As they were when they were looked at: they may be set while the guest is being stopped.
  const capabilities = parts.settings.enabled();
  try {
    await holdForSnapshot(guest, 'restore-vm');
    throwIfCancelled(job);
    const task = parts.blocks.load({ ...orderFor(parts, request), capabilities });
    await workOn(job, task, () => replace(parts, { task, job, request }));
  } finally {
    releaseFromSnapshot(guest);
  }
  job.setResult({ tag: request.tag });
}

/** The step at which guest and disks change together. From there on nothing but a fault can stop it. */
async function replace(parts: LoadParts, running: RunningLoad): Promise<void> {
  const { catalogue, guest } = parts;
  const { task, job } = running;
  const loaded = await task.loaded;
  job.cannotBeCancelled();
  job.setPhase(APPLYING, partsOf(catalogue, running.request.tag, running.request));
  await turnDisks(parts, running);
  try {
    loaded.adopt();
  } catch (error) {
    await turnBack(guest, running);
    throw refusedBy(error);
  }
  job.enterPhase(APPLIED);
  task.release();
  releaseLoadedGuest(guest);
  // The guest is the snapshot's; room that its disks' former content takes until the next start is no failure of that.
  await task.ended.catch((error: unknown) => job.warn(`What the disks held before was not freed: ${messageOf(error)}`));
}

/**
 * All disks, or none. If the thread dies meanwhile nobody knows which of them were turned, so all of them are turned by
 * the next thread: the machine that goes with them is at hand.
 */
async function turnDisks({ guest, blocks }: LoadParts, { task, job, request }: RunningLoad): Promise<void> {
  try {
    await task.apply();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'disks_in_doubt') stayInDoubt(guest, job);
    else if (code !== 'engine_crashed') job.enterPhase(TURNED_BACK);
    if (code !== 'engine_crashed') throw error;
    try {
      await blocks.applyDisks({ tag: request.tag, devices: request.devices }).ended;
    } catch {
      stayInDoubt(guest, job);
      throw error;
    }
  }
}

/** The disks go back to the guest that stays. If they cannot, they are another guest's: that one must not write there. */
async function turnBack(guest: Guest, { task, job }: RunningLoad): Promise<void> {
  try {
    await task.revert();
  } catch (error) {
    stayInDoubt(guest, job);
    throw error;
  }
  job.enterPhase(TURNED_BACK);
}

/** Some of the disks may be the snapshot's: no guest goes on here, and the next start turns the rest. */
function stayInDoubt(guest: Guest, job: JobControl): void {
  keepGuestStopped(guest);
  job.keepPhase();
}

function refusedBy(error: unknown): SnapshotError {
  return { code: 'machine_refused', message: `The machine does not take this snapshot: ${messageOf(error)}.` };
}

function orderFor({ identity }: LoadParts, request: LoadRequest): Omit<LoadOrder, 'capabilities'> {
  const { tag, vmState, devices } = request;
  return { tag, vmState, devices, uuid: identity.uuid };
}
