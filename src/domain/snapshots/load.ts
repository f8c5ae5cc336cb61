import type { Context } from '../context.ts';
import type { SeenJob } from '../jobs/line.ts';
import type { JobControl } from '../jobs/spec.ts';
import { holdForSnapshot, keepGuestStopped, letGuestGo, loadedGuestGoes } from '../machine/snapshot-steps.ts';
import type { LoadPlan, LoadTask, SnapshotError } from '../snapshot-port.ts';
import { checkDevices, checkVmState, leftOut, ofOtherMoments, requireOnAll, requireVmState } from './devices.ts';
import { codeOf, type JobOptions, messageOf, startJob, throwIfCancelled, workOn } from './job-work.ts';
import { partsOf } from './parts.ts';
import { refuseBusyMachine } from './refusals.ts';

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

/** The job that puts a snapshot in the place of the machine and its disks; what rules that out is its to say. @throws DomainError */
export function loadSnapshot(context: Context, request: LoadRequest, options: JobOptions = {}): SeenJob {
  const { tag, vmState, devices } = request;
  return startJob(context, {
    ...options,
    id: request.jobId,
    type: 'snapshot-load',
    needsMachine: true,
    details: { tag, vmstate: vmState, devices },
    run: (job) => load(context, request, job),
  });
}

/** @throws DomainError for all that can be known, before there is a job, to rule the load out. */
export function refuseLoad(context: Context, { tag, vmState, devices }: Omit<LoadRequest, 'jobId'>): void {
  checkDevices(context.catalogue, devices);
  checkVmState(context.catalogue, devices, vmState);
  requireVmState(requireOnAll(context.catalogue, tag, devices), vmState);
  refuseBusyMachine(context);
}

async function load(context: Context, request: LoadRequest, job: JobControl): Promise<void> {
  refuseLoad(context, request);
  const { catalogue } = context;
  const moments = ofOtherMoments(catalogue.get(request.tag), request.devices);
  for (const warning of [leftOut(catalogue, request.devices), moments]) if (warning !== null) job.warn(warning);
  // As they were when they were looked at: they may be set while the guest is being stopped.
  const capabilities = context.settings.enabled();
  try {
    await holdForSnapshot(context, 'restore-vm');
    throwIfCancelled(job);
    const task = context.blocks.load({ ...planFor(context, request), capabilities });
    await workOn(job, task, () => replace(context, { task, job, request }));
  } finally {
    context.machine.discardLoadTarget();
    letGuestGo(context);
  }
  job.setResult({ tag: request.tag });
}

/** The step at which guest and disks change together. From there on nothing but a fault can stop it. */
async function replace(context: Context, running: RunningLoad): Promise<void> {
  const { task, job } = running;
  const loaded = await task.loaded;
  job.cannotBeCancelled();
  job.setPhase(APPLYING, partsOf(context, running.request.tag, running.request));
  await turnDisks(context, running);
  try {
    context.machine.adopt(loaded);
  } catch (error) {
    await turnBack(context, running);
    throw refusedBy(error);
  }
  job.enterPhase(APPLIED);
  task.release();
  loadedGuestGoes(context);
  // The guest is the snapshot's; room that its disks' former content takes until the next start is no failure of that.
  await task.ended.catch((error: unknown) => job.warn(`What the disks held before was not freed: ${messageOf(error)}`));
}

/**
 * All disks, or none. If the thread dies meanwhile nobody knows which of them were turned, so all of them are turned by
 * the next thread: the machine that goes with them is at hand.
 */
async function turnDisks(context: Context, { task, job, request }: RunningLoad): Promise<void> {
  try {
    await task.apply();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'disks_in_doubt') stayInDoubt(context, job);
    else if (code !== 'engine_crashed') job.enterPhase(TURNED_BACK);
    if (code !== 'engine_crashed') throw error;
    try {
      await context.blocks.applyDisks({ tag: request.tag, devices: request.devices }).ended;
    } catch {
      stayInDoubt(context, job);
      throw error;
    }
  }
}

/** The disks go back to the guest that stays. If they cannot, they are another guest's: that one must not write there. */
async function turnBack(context: Context, { task, job }: RunningLoad): Promise<void> {
  try {
    await task.revert();
  } catch (error) {
    stayInDoubt(context, job);
    throw error;
  }
  job.enterPhase(TURNED_BACK);
}

/** Some of the disks may be the snapshot's: no guest goes on here, and the next start turns the rest. */
function stayInDoubt(context: Context, job: JobControl): void {
  keepGuestStopped(context);
  job.keepPhase();
}

function refusedBy(error: unknown): SnapshotError {
  return { code: 'machine_refused', message: `The machine does not take this snapshot: ${messageOf(error)}.` };
}

function planFor({ machine, identity }: Context, request: LoadRequest): Omit<LoadPlan, 'capabilities'> {
  const { tag, vmState, devices } = request;
  return { tag, vmState, devices, target: machine.loadTarget(), uuid: identity.uuid };
}
