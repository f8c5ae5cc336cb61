import type { Context } from '../context.ts';
import { DomainError } from '../errors.ts';

/** @throws DomainError if a job has the machine, or waits for it: it would find another machine than it was asked about. */
export function refuseWhileJobNeedsMachine({ jobs }: Context): void {
  const id = jobs.holderOf('machine');
  if (id === null) return;
  throw new DomainError('job_in_progress', `Job '${id}' needs the machine; wait for its end, or cancel it.`);
}
