import type { Context } from '../context.ts';
import type { SeenJob } from '../jobs/line.ts';
import type { JobControl } from '../jobs/spec.ts';
import { keepIfPossible } from '../jobs/with-reserve.ts';
import type { DeletePlan } from '../snapshot-port.ts';
import { checkDevices, holdersOf } from './devices.ts';
import { codeOf, type JobOptions, startJob, throwIfCancelled, workOn } from './job-work.ts';
import { partsOf } from './parts.ts';
import { refuseAbsentGuest } from './refusals.ts';

export type DeleteRequest = { readonly jobId: string; readonly tag: string; readonly devices: readonly string[] };

/** Phase of a deletion from which on the tag may be gone from some of the nodes. */
export const DELETING = 'delete';

/** The job that deletes a snapshot from those of the nodes that hold it; none may, as in QEMU. @throws DomainError */
export function deleteSnapshot(context: Context, request: DeleteRequest, options: JobOptions = {}): SeenJob {
  const { tag, devices } = request;
  return startJob(context, {
    ...options,
    id: request.jobId,
    type: 'snapshot-delete',
    needsMachine: false,
    freesRoom: true,
    details: { tag, devices },
    run: (job) => remove(context, request, job),
  });
}

/** @throws DomainError for all that can be known, before there is a job, to rule the deletion out. */
export function refuseDelete(context: Context, { devices }: Pick<DeleteRequest, 'devices'>): void {
  checkDevices(context.catalogue, devices);
  refuseAbsentGuest(context);
}

async function remove(context: Context, request: DeleteRequest, job: JobControl): Promise<void> {
  refuseDelete(context, request);
  const { tag } = request;
  const devices = holdersOf(context.catalogue.find(tag), request.devices);
  if (devices.length > 0) {
    throwIfCancelled(job);
    job.setPhase(DELETING, partsOf(context, tag, { devices }));
    await removeInRoom(context, job, { tag, devices });
    keepIfPossible(context.store);
  }
  job.setResult({ tag, devices });
}

/** A deletion writes new tables before it frees anything: on a full disk, in the room that is kept for what frees room. */
async function removeInRoom({ blocks, store }: Context, job: JobControl, plan: DeletePlan): Promise<void> {
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
