import type { JobControl, JobView } from '../jobs/job-spec.ts';
import type { BlockNodes, Compaction, DeletePlan } from '../ports/block-nodes.ts';
import type { Store } from '../ports/store.ts';
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
import { checkDevices, holdersOf, type RefusalParts } from './snapshot-nodes.ts';

export type DeleteParts = StartParts &
  Pick<RefusalParts, 'occupancy'> & {
    readonly catalogue: Catalogue;
    readonly blocks: Pick<BlockNodes, 'delete'>;
    readonly store: Pick<Store, 'reserve'>;
  };

export type DeleteRequest = { readonly jobId: string; readonly tag: string; readonly devices: readonly string[] };

/** Phase from which on the tag may be deleted on some of the nodes. */
export const DELETING = 'delete';

/**
 * Starts the job that deletes a snapshot from the nodes that hold it; as in QEMU, there may be none. @throws
 * DomainError
 */
export function deleteSnapshot(parts: DeleteParts, request: DeleteRequest, options: JobOptions = {}): JobView {
  const { tag, devices } = request;
  return startJob(parts, {
    ...options,
    id: request.jobId,
    type: 'snapshot-delete',
    needsMachine: false,
    freesRoom: true,
    details: { tag, devices },
    run: (job) => remove(parts, request, job),
  });
}

/** @throws DomainError if the deletion is already known to be impossible. */
export function refuseDelete(
  parts: Pick<DeleteParts, 'catalogue' | 'occupancy'>,
  { devices }: Pick<DeleteRequest, 'devices'>,
): void {
  checkDevices(parts.catalogue, devices);
  parts.occupancy.refuse('image change');
}

async function remove(parts: DeleteParts, request: DeleteRequest, job: JobControl): Promise<void> {
  refuseDelete(parts, request);
  const { tag } = request;
  const { catalogue, store } = parts;
  const devices = holdersOf(catalogue.find(tag), request.devices);
  if (devices.length > 0) {
    throwIfCancelled(job);
    job.setPhase(DELETING, partsOf(catalogue, tag, { devices }));
    await removeInRoom(parts, job, { tag, devices });
    keepIfPossible(store);
  }
  job.setResult({ tag, devices });
}

/** A deletion writes new tables before it frees space, so on a full disk it uses the reserved space. */
async function removeInRoom({ blocks, store }: DeleteParts, job: JobControl, plan: DeletePlan): Promise<void> {
  const attempt = async () => {
    const task = blocks.delete(plan);
    await workOn(job, task, () => task.ended);
  };
  try {
    await attempt();
  } catch (error) {
    if (codeOf(error) !== 'no_space' || job.isCancelled || !store.reserve.free()) throw error;
    await attempt();
  }
}

export type CompactParts = StartParts &
  Pick<RefusalParts, 'occupancy'> & {
    readonly catalogue: Catalogue;
    readonly blocks: Pick<BlockNodes, 'compact'>;
    readonly store: Pick<Store, 'reserve'>;
  };

export type CompactRequest = { readonly jobId: string; readonly devices: readonly string[] };

/**
 * Starts the job that shortens image files to the clusters that they use. The guest may run and use its disks. The job
 * frees space, so it may start on a full disk. @throws DomainError
 */
export function compactImages(parts: CompactParts, request: CompactRequest, options: JobOptions = {}): JobView {
  refuseCompact(parts, request);
  return startJob(parts, {
    ...options,
    id: request.jobId,
    type: 'snapshot-compact',
    needsMachine: false,
    freesRoom: true,
    details: { devices: request.devices },
    run: (job) => compact(parts, request, job),
  });
}

function refuseCompact(parts: CompactParts, { devices }: CompactRequest): void {
  checkDevices(parts.catalogue, devices);
  parts.occupancy.refuse('image change');
}

async function compact(parts: CompactParts, request: CompactRequest, job: JobControl): Promise<void> {
  refuseCompact(parts, request);
  throwIfCancelled(job);
  const { devices } = request;
  const task = parts.blocks.compact({ devices });
  await workOn(job, task, async () => {
    job.setResult({ nodes: (await task.ended).map(compactionView) });
  });
  keepIfPossible(parts.store);
}

function compactionView(compaction: Compaction) {
  return {
    name: compaction.node,
    'file-size-before': compaction.fileBytesBefore,
    'file-size': compaction.fileBytes,
    'disk-usage-before': compaction.allocatedBytesBefore,
    'disk-usage': compaction.allocatedBytes,
    'moved-bytes': compaction.movedBytes,
  };
}
