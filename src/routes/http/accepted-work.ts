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

/* Answers to requests that begin a migration or a job. */

type Named = { readonly id: string; readonly jobSequence: number | null };

/** What an operation begins: where it is, and how to wait for its end. */
export type Begun = {
  readonly placeOf: (id: string) => string;
  /** `jobSequence` tells a job from others of its id. */
  readonly end: (
    domain: Domain,
    of: Named & { readonly role: Role },
    patience: WaitLimit,
  ) => Promise<{ ended: boolean; view: unknown }>;
};

export const MIGRATION: Begun = {
  placeOf: (id) => `/migrations/${id}`,
  end: async (domain, of, patience) => {
    const { ended, migration } = await migrationEnded(domain, of, patience);
    return { ended, view: migration };
  },
};

export const JOB: Begun = {
  placeOf: (id) => `/jobs/${id}`,
  end: async (domain, { id, jobSequence }, patience) => {
    const { ended, job } = await jobEnded(domain, jobSequence ?? id, patience);
    return { ended, view: job };
  },
};

/**
 * 202 with the place of what was begun, or 200 with `Prefer: wait` once it has ended, well or not. A request that
 * carries an Idempotency-Key begins it once, however often it comes.
 */
export async function sendAccepted(call: Call, begun: Begun): Promise<FastifyReply> {
  const request = keyedRequest(call.request);
  if (request === null) return sendBegun(call, begun, await begin(call, begun));
  using _claim = call.context.keysInUse.claim(request.key);
  const kept = call.context.domain.idempotency.find(request);
  if (kept === null) return await sendBegun(call, begun, await begin(call, begun, request));
  call.reply.header('idempotency-replayed', 'true');
  return await sendBegun(call, begun, kept);
}

/** Begins it. @returns what is answered, as it is kept under the request's key. */
async function begin(call: Call, { placeOf }: Begun, request?: KeyedRequest): Promise<KeptAnswer> {
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
  // As it was kept, not as it may be a moment later: the same as every answer to come.
  return kept[0] ?? answerOf(result);
}

async function sendBegun(call: Call, { placeOf, end }: Begun, answer: KeptAnswer): Promise<FastifyReply> {
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
