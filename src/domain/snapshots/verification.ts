import type { JobControl, JobView } from '../jobs/job-spec.ts';
import type { BlockNodes, DigestReading, VerifyResult } from '../ports/block-nodes.ts';
import type { Schedule } from '../ports/process.ts';
import type { Catalogue, Snapshot } from './catalogue.ts';
import { type JobOptions, messageOf, type StartParts, startJob, throwIfCancelled, workOn } from './snapshot-job.ts';
import {
  checkList,
  checkVmState,
  ofOtherMoments,
  type RefusalParts,
  requireOnAll,
  requireVmState,
} from './snapshot-nodes.ts';

export type VerifyParts = StartParts &
  Pick<RefusalParts, 'occupancy'> & {
    readonly catalogue: Catalogue;
    readonly blocks: Pick<BlockNodes, 'verify'>;
  };

export type VerifyRequest = {
  readonly jobId: string;
  readonly tag: string;
  /** The node whose VM state is verified; null: only disks are. */
  readonly vmState: string | null;
  readonly devices: readonly string[];
};

/**
 * Starts the job that reads a snapshot and compares it with its stored digests. Changes nothing. @throws DomainError
 */
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
  parts.occupancy.refuse('image check');
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

/** Longest time until an answer, milliseconds: an image may be in use, or its disk may not respond. */
export const DIGESTS_MS_MAX = 5000;

/**
 * Stored digests of snapshots, read on demand. They are cached until the list of snapshots changes; failed readings are
 * not cached. Images are read one after another, so that a request for many tags uses no more of the block thread and
 * of memory than a request for one.
 */
export class KeptDigests {
  readonly #blocks: Pick<BlockNodes, 'digests'>;
  readonly #schedule: Schedule;
  readonly #read = new WeakMap<Snapshot, Promise<readonly DigestReading[]>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(blocks: Pick<BlockNodes, 'digests'>, schedule: Schedule) {
    this.#blocks = blocks;
    this.#schedule = schedule;
  }

  /** Digests of each part, in the order of the parts. Never rejects: a failed or late reading has a `fault`. */
  async of(snapshot: Snapshot): Promise<readonly DigestReading[]> {
    const late = Promise.withResolvers<readonly DigestReading[]>();
    const callOff = this.#schedule(() => {
      late.resolve(faultOfAll(snapshot, `The digests could not be read within ${DIGESTS_MS_MAX} ms.`));
    }, DIGESTS_MS_MAX);
    const readings = await Promise.race([late.promise, this.#readings(snapshot)]);
    callOff();
    return readings;
  }

  #readings(snapshot: Snapshot): Promise<readonly DigestReading[]> {
    const known = this.#read.get(snapshot);
    if (known !== undefined) return known;
    const reading = this.#last.then(() => this.#ask(snapshot));
    this.#last = reading;
    this.#read.set(snapshot, reading);
    return reading;
  }

  async #ask(snapshot: Snapshot): Promise<readonly DigestReading[]> {
    const { tag, parts } = snapshot;
    const devices = parts.filter(({ hasDigests }) => hasDigests).map(({ node }) => node);
    let readings: readonly DigestReading[];
    try {
      const found = devices.length === 0 ? [] : await this.#blocks.digests({ tag, devices }).ended;
      readings = parts.map(
        ({ node }) => found.find((one) => one.node === node) ?? { node, digests: null, fault: null },
      );
    } catch (error) {
      readings = faultOfAll(snapshot, `The digests could not be read: ${messageOf(error)}`);
    }
    if (readings.some(({ fault }) => fault !== null)) this.#read.delete(snapshot);
    return readings;
  }
}

function faultOfAll({ parts }: Snapshot, fault: string): readonly DigestReading[] {
  return parts.map(({ node, hasDigests }) => ({ node, digests: null, fault: hasDigests ? fault : null }));
}
