import type { JobControl, JobView } from '../jobs/spec.ts';
import type { BlockNodes, VerifyResult } from '../ports/block-nodes.ts';
import type { Catalogue } from './catalogue.ts';
import { checkList, checkVmState, ofOtherMoments, requireOnAll, requireVmState } from './devices.ts';
import { type JobOptions, type StartParts, startJob, throwIfCancelled, workOn } from './job-work.ts';
import { type RefusalParts, refuseInactiveDisks } from './refusals.ts';

export type VerifyParts = StartParts &
  Pick<RefusalParts, 'guest' | 'disks'> & {
    readonly catalogue: Catalogue;
    readonly blocks: Pick<BlockNodes, 'verify'>;
  };

export type VerifyRequest = {
  readonly jobId: string;
  readonly tag: string;
  /** The node whose VM state is read; null: only disks are. */
  readonly vmState: string | null;
  readonly devices: readonly string[];
};

/** The job that reads a snapshot and compares it with the digests kept with it. Changes nothing. @throws DomainError */
export function verifySnapshot(parts: VerifyParts, request: VerifyRequest, options: JobOptions = {}): JobView {
  const { tag, vmState, devices } = request;
  refuseVerify(parts, request);
  return startJob(parts, {
    ...options,
    id: request.jobId,
    type: 'snapshot-verify',
    needsMachine: false,
    details: { tag, vmstate: vmState, devices },
    run: (job) => verify(parts, request, job),
  });
}

function refuseVerify(parts: VerifyParts, { tag, vmState, devices }: VerifyRequest): void {
  const { catalogue } = parts;
  checkList(catalogue, devices);
  if (vmState !== null) checkVmState(catalogue, devices, vmState);
  const found = requireOnAll(catalogue, tag, devices);
  if (vmState !== null) requireVmState(found, vmState);
  refuseInactiveDisks(parts);
}

async function verify(parts: VerifyParts, request: VerifyRequest, job: JobControl): Promise<void> {
  refuseVerify(parts, request);
  throwIfCancelled(job);
  const { tag, vmState, devices } = request;
  const warning = ofOtherMoments(parts.catalogue.get(tag), devices);
  if (warning !== null) job.warn(warning);
  const task = parts.blocks.verify({ tag, vmState, devices });
  await workOn(job, task, async () => {
    job.setResult(verifiedView(await task.ended));
  });
}

function verifiedView({ hadDigests, digests, checkedBytes }: VerifyResult) {
  return { 'had-digests': hadDigests, digests, 'checked-bytes': checkedBytes };
}
