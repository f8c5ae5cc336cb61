import { DomainError } from '../errors.ts';

/** QEMU has no limit; this is what fits into a path. */
export const JOB_ID_LENGTH_MAX = 256;

/** As QEMU's ids: a letter first. */
const WELL_FORMED = /^[A-Za-z][A-Za-z0-9._-]*$/;
/** A job of this id could not be told from the list behind its path. */
const TAKEN_BY_A_PATH = 'history';

/** @throws DomainError if a job cannot have this id. */
export function checkJobId(id: string): void {
  if (WELL_FORMED.test(id) && id.length <= JOB_ID_LENGTH_MAX && id !== TAKEN_BY_A_PATH) return;
  const allowed = `up to ${JOB_ID_LENGTH_MAX} letters, digits, '-', '.' and '_', a letter first, not '${TAKEN_BY_A_PATH}'`;
  const reason = `A job's id is ${JSON.stringify(id.slice(0, JOB_ID_LENGTH_MAX))}; allowed are ${allowed}.`;
  throw new DomainError('invalid_job_id', reason, { violations: [{ pointer: '/job-id', reason }] });
}
