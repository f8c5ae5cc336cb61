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
  /** The node with the VM state; one of `devices`. */
  readonly vmState: string;
  readonly devices: readonly string[];
};

/** Phase from which on the load is completed, if necessary by the next start. */
export const APPLYING = 'apply';
/** Later phases: a guest runs on these disks again, so a recovery does not change them. */
const APPLIED = 'release';
const TURNED_BACK = 'revert';

/**
 * Starts the job that replaces machine and disks by a snapshot. An impossible load fails the job. @throws DomainError
 * if no job can be started
 */
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

/** @throws DomainError if the load is already known to be impossible. */
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
  // Read before the stop, because capabilities may be changed while the guest is being stopped.
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

/** Changes guest and disks together. From here on the load cannot be cancelled. */
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
  // The load has succeeded even if space could not be freed: the next start frees it.
  await task.ended.catch((error: unknown) => job.warn(`What the disks held before was not freed: ${messageOf(error)}`));
}

/**
 * Switches all disks or none. If the thread crashes, it is unknown which disks were switched, so the next thread
 * switches all of them: the loaded machine that belongs to them is available.
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

/** Switches the disks back for the guest that stays. If that fails, the guest must not write to them. */
async function turnBack(guest: Guest, { task, job }: RunningLoad): Promise<void> {
  try {
    await task.revert();
  } catch (error) {
    stayInDoubt(guest, job);
    throw error;
  }
  job.enterPhase(TURNED_BACK);
}

/** Some disks may be the snapshot's: the guest stays stopped, and the next start switches the other disks. */
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
