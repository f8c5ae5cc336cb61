import type { Context } from '../context.ts';
import type { SeenJob } from '../jobs/line.ts';
import type { JobControl } from '../jobs/spec.ts';
import type { VerifyResult } from '../snapshot-port.ts';
import { checkList, checkVmState, ofOtherMoments, requireOnAll, requireVmState } from './devices.ts';
import { type JobOptions, startJob, throwIfCancelled, workOn } from './job-work.ts';
import { refuseInactiveDisks } from './refusals.ts';

export type VerifyRequest = {
  readonly jobId: string;
  readonly tag: string;
  /** The node whose VM state is read; null: only disks are. */
  readonly vmState: string | null;
  readonly devices: readonly string[];
};

/** The job that reads a snapshot and compares it with the digests kept with it. Changes nothing. @throws DomainError */
export function verifySnapshot(context: Context, request: VerifyRequest, options: JobOptions = {}): SeenJob {
  const { tag, vmState, devices } = request;
  refuseVerify(context, request);
  return startJob(context, {
    ...options,
    id: request.jobId,
    type: 'snapshot-verify',
    needsMachine: false,
    details: { tag, vmstate: vmState, devices },
    run: (job) => verify(context, request, job),
  });
}

function refuseVerify(context: Context, { tag, vmState, devices }: VerifyRequest): void {
  const { catalogue } = context;
  checkList(catalogue, devices);
  if (vmState !== null) checkVmState(catalogue, devices, vmState);
  const found = requireOnAll(catalogue, tag, devices);
  if (vmState !== null) requireVmState(found, vmState);
  refuseInactiveDisks(context);
}

async function verify(context: Context, request: VerifyRequest, job: JobControl): Promise<void> {
  refuseVerify(context, request);
  throwIfCancelled(job);
  const { tag, vmState, devices } = request;
  const warning = ofOtherMoments(context.catalogue.get(tag), devices);
  if (warning !== null) job.warn(warning);
  const task = context.blocks.verify({ tag, vmState, devices });
  await workOn(job, task, async () => {
    job.setResult(verifiedView(await task.ended));
  });
}

function verifiedView({ hadDigests, digests, checkedBytes }: VerifyResult) {
  return { 'had-digests': hadDigests, digests, 'checked-bytes': checkedBytes };
}
