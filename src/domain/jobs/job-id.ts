import { DomainError } from '../errors.ts';

/** Characters of an id, at most. QEMU has no limit; this keeps a list of ids readable and the database small. */
export const JOB_ID_LENGTH_MAX = 4096;

/** As QEMU's ids: a letter first. */
const WELL_FORMED = /^[A-Za-z][A-Za-z0-9._-]*$/;
const SHOWN_MAX = 256;

/** @throws DomainError if a job cannot have this id. */
export function checkJobId(id: string): void {
  if (WELL_FORMED.test(id) && id.length <= JOB_ID_LENGTH_MAX) return;
  const allowed = `up to ${JOB_ID_LENGTH_MAX} letters, digits, '-', '.' and '_', a letter first`;
  const reason = `A job's id is ${JSON.stringify(id.slice(0, SHOWN_MAX))}; allowed are ${allowed}.`;
  throw new DomainError('invalid_job_id', reason, { violations: [{ pointer: '/job-id', reason }] });
}
