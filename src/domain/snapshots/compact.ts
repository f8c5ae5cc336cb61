import type { JobControl, JobView } from '../jobs/spec.ts';
import type { BlockNodes, Compaction } from '../ports/block-nodes.ts';
import type { Store } from '../ports/store.ts';
import { keepIfPossible } from '../store-reserve.ts';
import type { Catalogue } from './catalogue.ts';
import { checkDevices } from './devices.ts';
import { type JobOptions, type StartParts, startJob, throwIfCancelled, workOn } from './job-work.ts';
import { type RefusalParts, refuseAbsentGuest } from './refusals.ts';

export type CompactParts = StartParts &
  Pick<RefusalParts, 'guest' | 'disks'> & {
    readonly catalogue: Catalogue;
    readonly blocks: Pick<BlockNodes, 'compact'>;
    readonly store: Pick<Store, 'reserve'>;
  };

export type CompactRequest = { readonly jobId: string; readonly devices: readonly string[] };

/**
 * Starts the job that shortens image files to the clusters that they use. The guest may run and use its disks. The job frees
 * space, so it may begin on a full disk. @throws DomainError
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
  refuseAbsentGuest(parts);
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
