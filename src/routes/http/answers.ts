import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import type { Role } from '../../commands/command.ts';
import type { Domain, KeptAnswer, KeyedRequest } from '../../commands/domain.ts';
import { DomainError } from '../../commands/errors.ts';
import { jobEnded, migrationEnded, type Patience, type Watched } from '../../commands/waiting.ts';
import { stringifyJson } from '../../text/json.ts';
import type { Call, Reply } from '../operation.ts';
import { sendJson, sendText } from '../register.ts';
import { digest, matchesAny, matchesStrongly, strongTag, weakTag } from './etag.ts';
import { keyedRequest } from './idempotency.ts';
import { preferredWait, prefersStatus } from './prefer.ts';

/* Answers that are more than a result: tagged ones that can be waited for, guarded changes, work that goes on. */

/** How often an answer that changes without notice is compared while a client waits for a change. */
export const LIVE_RECHECK_MS = 250;

/** What a page says of the next, for documentation. */
export const LINK = { Link: 'rel="next": the next page, while there is one.' };

/** Request headers of an answer with a tag, for documentation. */
export const CONDITIONAL_HEADERS = {
  'If-None-Match': 'A tag seen before: 304 if nothing has changed since.',
  Prefer: 'wait=SECONDS (60 at most): with If-None-Match, the answer comes when something changes.',
};

/** The same where the tag may be that of the status alone. */
export const STATUS_CONDITIONAL_HEADERS = {
  ...CONDITIONAL_HEADERS,
  Prefer: `${CONDITIONAL_HEADERS.Prefer} until=status: figures do not count, neither for the tag nor for the wait.`,
};

/** What an answer says of the wait that was asked for, for documentation: on every answer that may have waited. */
export const WAIT_GRANTED = { 'Preference-Applied': 'The wait that was granted.' };

/** Headers of an answer with a tag, for documentation. */
export const TAGGED = { ETag: 'Names this state.', ...WAIT_GRANTED };

/** The answer to a client that has seen the content. */
export const NOT_MODIFIED: Reply = {
  description: 'Nothing has changed since the tag given.',
  schema: null,
  headers: TAGGED,
};

/** A page of a list, with a link to the next. */
export async function sendPage(call: Call): Promise<FastifyReply> {
  const page = await call.run();
  linkNext(call, page);
  return sendJson(call.reply, page);
}

function linkNext({ request, reply }: Call, page: unknown): void {
  const { next } = page as { readonly next?: string | null };
  if (next === undefined || next === null) return;
  const [path = '', query = ''] = request.url.split('?', 2);
  const parameters = new URLSearchParams(query);
  parameters.set('cursor', next);
  reply.header('link', `<${path}?${parameters}>; rel="next"`);
}

type Named = { readonly id: string; readonly jobSequence: number | null };

/** What an operation begins: where it is, and how to wait for its end. */
export type Begun = {
  readonly placeOf: (id: string) => string;
  /** `jobSequence` tells a job from others of its id. */
  readonly end: (
    domain: Domain,
    of: Named & { readonly role: Role },
    patience: Patience,
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

/**
 * A result whose tag is its version: figures that go on changing, so a weak tag. With `Prefer: until=status` the tag is
 * that of the status alone.
 */
export async function sendWeaklyTagged(call: Call, watched: Watched): Promise<FastifyReply> {
  const { reply, request, context } = call;
  const { status } = watched;
  const isStatusOnly = status !== undefined && prefersStatus(request.headers.prefer);
  if (isStatusOnly) reply.header('preference-applied', STATUS_ONLY);
  const tag = () => weakTag([context.instance, isStatusOnly ? digest(status()) : watched.version()]);
  await waitWhileSeen(call, watched, tag);
  const now = tag();
  reply.header('etag', now).header('cache-control', 'no-cache');
  if (matchesAny(request.headers['if-none-match'], now)) return reply.code(304).send();
  return sendJson(reply, await call.run());
}

type ContentOptions = {
  /** How often to look while a client waits, for contents that change without notice; otherwise when `watched` does. */
  readonly recheckMs?: number;
  /** With `Prefer: until=status`: the part of the result that counts, and what changes when that part may have. */
  readonly status?: { readonly of: (result: unknown) => unknown; readonly watched: Watched };
};

/** A result, or a page of a list, whose tag is its content. */
export async function sendContentTagged(
  call: Call,
  figures: Watched,
  { recheckMs = Number.POSITIVE_INFINITY, status }: ContentOptions = {},
): Promise<FastifyReply> {
  const { reply, request, signal } = call;
  const counted = prefersStatus(request.headers.prefer) ? status : undefined;
  if (counted !== undefined) reply.header('preference-applied', STATUS_ONLY);
  const watched = counted?.watched ?? figures;
  const seenTags = request.headers['if-none-match'];
  const wait = seenTags === undefined ? null : waitOf(call);
  const end = performance.now() + (wait ?? 0) * 1000;
  for (;;) {
    const version = watched.version();
    const result = await call.run();
    const tag = weakTag([digest(stringifyJson(counted === undefined ? result : counted.of(result)))]);
    const isSeen = matchesAny(seenTags, tag);
    const leftMs = end - performance.now();
    if (isSeen && leftMs > 0 && !signal.aborted) {
      await watched.changed(version, { timeoutMs: Math.min(leftMs, recheckMs), signal });
      continue;
    }
    reply.header('etag', tag).header('cache-control', 'no-cache');
    if (isSeen) return reply.code(304).send();
    linkNext(call, result);
    return sendJson(reply, result);
  }
}

/** A result whose tag is its version and its content. */
export async function sendStronglyTagged(call: Call, watched: Watched): Promise<FastifyReply> {
  const { reply, request } = call;
  let result = await call.run();
  const seen = watched.version();
  await waitWhileSeen(call, watched, () => contentTag(watched.version() === seen ? result : null, watched));
  if (watched.version() !== seen) result = await call.run();
  const tag = contentTag(result, watched);
  reply.header('etag', tag).header('cache-control', 'no-cache');
  if (matchesAny(request.headers['if-none-match'], tag)) return reply.code(304).send();
  return sendJson(reply, result);
}

/** Runs a change of settings if `If-Match`, where it is given, names what they are now: `current`. */
export async function sendGuardedChange(call: Call, watched: Watched, current: () => unknown): Promise<FastifyReply> {
  const guard = call.request.headers['if-match'];
  const expectedVersion = watched.version();
  if (guard !== undefined && !matchesStrongly(guard, contentTag(current(), watched))) {
    throw new DomainError('settings_changed', `If-Match gives ${guard}, but the settings have changed since.`);
  }
  const result = await call.run(guard === undefined ? {} : { expectedVersion });
  call.reply.header('etag', contentTag(result, watched)).header('cache-control', 'no-cache');
  return sendJson(call.reply, result);
}

function contentTag(content: unknown, watched: Watched): string {
  return strongTag([watched.version(), digest(stringifyJson(content))]);
}

/** With `Prefer: wait`, holds the answer back for as long as the client has already seen it. */
async function waitWhileSeen(call: Call, watched: Watched, tag: () => string): Promise<void> {
  const seenTags = call.request.headers['if-none-match'];
  if (seenTags === undefined) return;
  const wait = waitOf(call);
  if (wait === null) return;
  const { signal } = call;
  const end = performance.now() + wait * 1000;
  for (;;) {
    const seen = watched.version();
    const timeoutMs = end - performance.now();
    if (timeoutMs <= 0 || signal.aborted || !matchesAny(seenTags, tag())) return;
    await watched.changed(seen, { timeoutMs, signal });
  }
}

const STATUS_ONLY = 'until=status';

/** Seconds that the client wants to wait, told back to it; null if it did not say. */
export function waitOf(call: Call): number | null {
  const wait = preferredWait(call.request.headers.prefer, call.context.limits.waitSecondsMax);
  if (wait === null) return null;
  const applied = call.reply.getHeader('preference-applied');
  call.reply.header('preference-applied', applied === STATUS_ONLY ? `wait=${wait}, ${STATUS_ONLY}` : `wait=${wait}`);
  return wait;
}
