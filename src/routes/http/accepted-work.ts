import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import type { Role } from '../../commands/command.ts';
import { jobEnded, migrationEnded, type WaitLimit } from '../../commands/waiting.ts';
import type { Domain } from '../../domain/domain.ts';
import { DomainError } from '../../domain/errors.ts';
import type { KeptAnswer, KeyedRequest } from '../../domain/idempotency.ts';
import { stringifyJson } from '../../text/json.ts';
import type { Call } from '../operation.ts';
import { sendJson, sendText } from '../register.ts';
import { waitOf } from './answers.ts';
import { keyedRequest } from './idempotency-key.ts';

/* Answers to requests that start a migration or a job. */

type Started = { readonly id: string; readonly jobSequence: number | null };

/** A kind of work that an operation starts: the URL path of the work, and a function that waits for its end. */
export type StartedWork = {
  readonly placeOf: (id: string) => string;
  /** `jobSequence` distinguishes a job from other jobs with the same id. */
  readonly end: (
    domain: Domain,
    of: Started & { readonly role: Role },
    patience: WaitLimit,
  ) => Promise<{ ended: boolean; view: unknown }>;
};

export const MIGRATION: StartedWork = {
  placeOf: (id) => `/migrations/${id}`,
  end: async (domain, of, patience) => {
    const { ended, migration } = await migrationEnded(domain, of, patience);
    return { ended, view: migration };
  },
};

export const JOB: StartedWork = {
  placeOf: (id) => `/jobs/${id}`,
  end: async (domain, { id, jobSequence }, patience) => {
    const { ended, job } = await jobEnded(domain, jobSequence ?? id, patience);
    return { ended, view: job };
  },
};

/**
 * Answers with 202 and the URL path of the started work. With `Prefer: wait` the answer is 200 once the work has ended,
 * successfully or not. Requests with the same Idempotency-Key start the work only once.
 */
export async function sendAccepted(call: Call, work: StartedWork): Promise<FastifyReply> {
  const request = keyedRequest(call.request);
  if (request === null) return sendStarted(call, work, await start(call, work));
  using _claim = call.context.keysInUse.claim(request.key);
  const kept = call.context.domain.idempotency.find(request);
  if (kept === null) return await sendStarted(call, work, await start(call, work, request));
  call.reply.header('idempotency-replayed', 'true');
  return await sendStarted(call, work, kept);
}

/** Starts the work. @returns the answer, as it is stored under the request's key */
async function start(call: Call, { placeOf }: StartedWork, request?: KeyedRequest): Promise<KeptAnswer> {
  const answerOf = (result: unknown, jobSequence: number | null = null): KeptAnswer => ({
    location: placeOf((result as { readonly id: string }).id),
    body: `${stringifyJson(result)}\n`,
    jobSequence,
  });
  const { idempotency } = call.context.domain;
  const kept: KeptAnswer[] = [];
  const result = await call.run({
    begun: (row, jobSequence) => {
      const answer = answerOf(row, jobSequence);
      kept.push(answer);
      if (request !== undefined) idempotency.keep(request, answer);
    },
  });
  await nextTurn();
  // The stored answer, not the present state: later requests with the same key receive exactly this answer.
  return kept[0] ?? answerOf(result);
}

async function sendStarted(call: Call, { placeOf, end }: StartedWork, answer: KeptAnswer): Promise<FastifyReply> {
  const { reply, context } = call;
  const { location, body, jobSequence } = answer;
  reply.header('location', location);
  const wait = waitOf(call);
  if (wait === null) return sendText(reply.code(202), body);
  const id = location.slice(placeOf('').length);
  const { ended, view } = await end(
    context.domain,
    { id, jobSequence, role: call.request.access.role },
    { timeoutMs: wait * 1000, signal: call.signal },
  );
  return sendJson(reply.code(ended ? 200 : 202), view);
}

/** Longest job id, in characters, that fits into a path: `parameterLengthMax` of the HTTP limits. */
export const JOB_ID_IN_PATH_MAX = 256;
/** `GET /jobs/history` is the list of ended jobs, so no path could address a job with this id. */
const TAKEN_BY_A_PATH = 'history';

/**
 * Starts a job and answers with its path. HTTP addresses a job by a path, so this function refuses an id that cannot
 * be part of a path. QMP and HMP accept such an id.
 */
export async function sendStartedJob(call: Call): Promise<FastifyReply> {
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
