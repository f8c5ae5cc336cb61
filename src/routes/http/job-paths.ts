import type { FastifyReply } from 'fastify';
import { DomainError } from '../../commands/errors.ts';
import type { Call } from '../operation.ts';
import { JOB, sendAccepted } from './answers.ts';

/** Characters of a job's id that fit into a path: `parameterLengthMax` of the HTTP limits. */
export const JOB_ID_IN_PATH_MAX = 256;
/** `GET /jobs/history` is the list of ended jobs, so a job of this id could not be read behind its path. */
const TAKEN_BY_A_PATH = 'history';

/**
 * Begins a job and answers with its place. Over HTTP a job is asked for by a path, so an id that no path can have is
 * refused here; the other doors take it.
 */
export async function sendJobBegun(call: Call): Promise<FastifyReply> {
  for (const from of [call.request.body, call.request.query]) {
    const id = (from as Readonly<Record<string, unknown>> | null | undefined)?.['job-id'];
    if (typeof id === 'string' && (id === TAKEN_BY_A_PATH || id.length > JOB_ID_IN_PATH_MAX)) {
      const shown = JSON.stringify(id.slice(0, JOB_ID_IN_PATH_MAX));
      const reason = `A job's id is ${shown}; over HTTP it has up to ${JOB_ID_IN_PATH_MAX} characters and is not '${TAKEN_BY_A_PATH}'.`;
      throw new DomainError('invalid_job_id', reason, { violations: [{ pointer: '/job-id', reason }] });
    }
  }
  return sendAccepted(call, JOB);
}
