import type { Context } from '../context.ts';
import type { SeenJob } from '../jobs/line.ts';
import type { JobControl } from '../jobs/spec.ts';
import { keepIfPossible } from '../jobs/with-reserve.ts';
import type { Compaction } from '../snapshot-port.ts';
import { checkDevices } from './devices.ts';
import { type JobOptions, startJob, throwIfCancelled, workOn } from './job-work.ts';
import { refuseAbsentGuest } from './refusals.ts';

export type CompactRequest = { readonly jobId: string; readonly devices: readonly string[] };

/**
 * Starts the job that shortens image files to the clusters that they use. The guest may run and use its disks. The job frees
 * space, so it may begin on a full disk. @throws DomainError
 */
export function compactImages(context: Context, request: CompactRequest, options: JobOptions = {}): SeenJob {
  refuseCompact(context, request);
  return startJob(context, {
    ...options,
    id: request.jobId,
    type: 'snapshot-compact',
    needsMachine: false,
    freesRoom: true,
    details: { devices: request.devices },
    run: (job) => compact(context, request, job),
  });
}

function refuseCompact(context: Context, { devices }: CompactRequest): void {
  checkDevices(context.catalogue, devices);
  refuseAbsentGuest(context);
}

async function compact(context: Context, request: CompactRequest, job: JobControl): Promise<void> {
  refuseCompact(context, request);
  throwIfCancelled(job);
  const { devices } = request;
  const task = context.blocks.compact({ devices });
  await workOn(job, task, async () => {
    job.setResult({ nodes: (await task.ended).map(compactionView) });
  });
  keepIfPossible(context.store);
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
