import type { Context } from '../context.ts';
import { DomainError } from '../errors.ts';

/** @throws DomainError if a job has the machine, or waits for it: it would find another machine than it was asked about. */
export function refuseWhileJobNeedsMachine(context: Context): void {
  refuseMovingDevices(context);
  const id = context.jobs.holderOf('machine');
  if (id === null) return;
  throw new DomainError('job_in_progress', `Job '${id}' needs the machine; wait for its end, or cancel it.`);
}

/** @throws DomainError for the moment in which the state of the devices is taken, or put back. */
export function refuseMovingDevices({ isMovingDevices }: Context): void {
  if (isMovingDevices) throw new DomainError('job_in_progress', "The state of the machine's devices is on its way.");
}
