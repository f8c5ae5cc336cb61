import type { Context } from '../context.ts';
import type { SeenJob } from '../jobs/line.ts';
import { type JobControl, WORK_DONE } from '../jobs/spec.ts';
import { holdForSnapshot, letGuestGo } from '../machine/snapshot-steps.ts';
import type { Machine, TransferSource } from '../ports.ts';
import type { SavePlan } from '../snapshot-port.ts';
import { checkDevices, checkVmState, leftOut, refuseExisting } from './devices.ts';
import { type JobOptions, startJob, throwIfCancelled, workOn } from './job-work.ts';
import { partsOf } from './parts.ts';
import { refuseBusyMachine, refuseEmptyMachine } from './refusals.ts';
import { checkTag } from './tag.ts';

export type SaveRequest = {
  readonly jobId: string;
  readonly tag: string;
  /** The node that takes RAM and device state; one of `devices`. */
  readonly vmState: string;
  readonly devices: readonly string[];
};

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
    details: { tag, vmstate: vmState, devices },
    run: (job) => save(context, request, job),
  });
}

/** @throws DomainError for all that can be known, before there is a job, to rule the save out. */
export function refuseSave(context: Context, request: Omit<SaveRequest, 'jobId'>): void {
  refuseSaveAs(context, request);
  refuseExisting(context.catalogue, request.tag, request.devices);
}

/** The same but for a tag that is taken. */
export function refuseSaveAs(context: Context, { tag, vmState, devices }: Omit<SaveRequest, 'jobId'>): void {
  checkTag(tag);
  checkDevices(context.catalogue, devices);
  checkVmState(context.catalogue, devices, vmState);
  refuseBusyMachine(context);
  refuseEmptyMachine(context);
}

async function save(context: Context, request: SaveRequest, job: JobControl): Promise<void> {
  refuseSave(context, request);
  const warning = leftOut(context.catalogue, request.devices);
  if (warning !== null) job.warn(warning);
  try {
    // What it was before it was stopped is what the snapshot says of it.
    await holdForSnapshot(context, 'save-vm');
    throwIfCancelled(job);
    const plan = planFor(context, request);
    job.setPhase(WRITING, partsOf(context, plan.tag, plan));
    const task = context.blocks.save(plan);
    await workOn(job, task, async () => {
      await task.captured;
      letGuestGo(context);
      await task.ended;
    });
  } finally {
    letGuestGo(context);
  }
  await sayDone(context, request, job);
  job.setResult({ tag: request.tag, 'vm-state-size': context.catalogue.find(request.tag)?.vmStateBytes ?? 0 });
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

function planFor({ machine, runState, settings, clock }: Context, request: SaveRequest): SavePlan {
  const { tag, vmState, devices } = request;
  return {
    tag,
    vmState,
    devices,
    source: copiedSource(machine),
    globalState: runState.interrupted,
    detectsZeroPages: settings.detectsZeroPages(),
    dateMs: clock.now(),
    clockNs: machine.clockNs(),
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
