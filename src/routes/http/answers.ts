import type { FastifyReply } from 'fastify';
import type { Watched } from '../../commands/waiting.ts';
import { DomainError } from '../../domain/errors.ts';
import { stringifyJson } from '../../text/json.ts';
import type { Call, Reply } from '../operation.ts';
import { sendJson } from '../register.ts';
import { digest, matchesAny, matchesStrongly, strongTag, weakTag } from './entity-tags.ts';

/* Answers with entity tags and waiting, lists in pages, and changes with a precondition. */

/** Milliseconds between two comparisons while a client waits for a change of an answer that changes without notification. */
export const LIVE_RECHECK_MS = 250;

/** Header of a list answer, for the documentation. */
export const LINK = { Link: 'rel="next": the next page, if there is one.' };

/** Request headers for an answer with an entity tag, for the documentation. */
export const CONDITIONAL_HEADERS = {
  'If-None-Match': 'An entity tag from an earlier answer. The answer is 304 if nothing has changed since then.',
  Prefer: 'wait=SECONDS (at most 60): with If-None-Match, the service answers when something changes.',
};

/** The same headers for an answer whose tag can be limited to the status. */
export const STATUS_CONDITIONAL_HEADERS = {
  ...CONDITIONAL_HEADERS,
  Prefer: `${CONDITIONAL_HEADERS.Prefer} until=status: the tag and the wait ignore changes of figures.`,
};

/** Response header of every answer that can wait, for the documentation. */
export const WAIT_GRANTED = { 'Preference-Applied': 'The wait that was granted.' };

/** Response headers of an answer with an entity tag, for the documentation. */
export const TAGGED = { ETag: 'The entity tag of this answer.', ...WAIT_GRANTED };

/** The answer to a client that already has the current content. */
export const NOT_MODIFIED: Reply = {
  description: 'Nothing has changed since the answer with this entity tag.',
  schema: null,
  headers: TAGGED,
};

/** Sends a page of a list, with a link to the next page. */
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

/**
 * Sends a result whose tag is the version of its source. The tag is weak because figures in the result change without a
 * new version. With `Prefer: until=status` the tag is that of the status alone.
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
  /** Milliseconds between two comparisons, for content that changes without notification. Default: only `watched` is used. */
  readonly recheckMs?: number;
  /** For `Prefer: until=status`: the part of the result that is compared, and the source of its changes. */
  readonly status?: { readonly of: (result: unknown) => unknown; readonly watched: Watched };
};

/** Sends a result, or a page of a list, whose tag is a digest of its content. */
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

/** Sends a result whose tag consists of its version and a digest of its content. */
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

/** Changes settings, unless `If-Match` is given and does not match the tag of the `current` settings. */
export async function sendGuardedChange(call: Call, watched: Watched, current: () => unknown): Promise<FastifyReply> {
  const guard = call.request.headers['if-match'];
  const expectedVersion = watched.version();
  if (guard !== undefined && !matchesStrongly(guard, contentTag(current(), watched))) {
    throw new DomainError('settings_changed', `If-Match is ${guard}, but the settings have changed since then.`);
  }
  const result = await call.run(guard === undefined ? {} : { expectedVersion });
  call.reply.header('etag', contentTag(result, watched)).header('cache-control', 'no-cache');
  return sendJson(call.reply, result);
}

function contentTag(content: unknown, watched: Watched): string {
  return strongTag([watched.version(), digest(stringifyJson(content))]);
}

/** With `Prefer: wait`, delays the answer while the client already has the current content. */
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

/** The number of seconds that the client wants to wait, confirmed in `Preference-Applied`; null without such a preference. */
export function waitOf(call: Call): number | null {
  const wait = preferredWait(call.request.headers.prefer, call.context.limits.waitSecondsMax);
  if (wait === null) return null;
  const applied = call.reply.getHeader('preference-applied');
  call.reply.header('preference-applied', applied === STATUS_ONLY ? `wait=${wait}, ${STATUS_ONLY}` : `wait=${wait}`);
  return wait;
}

/** True if `Prefer` has `until=status`, a preference of this service: only a change of the status ends the wait. */
export function prefersStatus(header: string | readonly string[] | undefined): boolean {
  return preferencesOf(header).some((preference) => /^\s*until\s*=\s*"?status"?\s*(?:;.*)?$/i.test(preference));
}

function preferencesOf(header: string | readonly string[] | undefined): readonly string[] {
  if (header === undefined) return [];
  return (typeof header === 'string' ? header : header.join(',')).split(',');
}

/**
 * The `wait` preference of RFC 7240, in seconds, at most `secondsMax`. Returns null if there is none or its value is
 * invalid: RFC 7240 tells a server to ignore preferences that it does not understand.
 */
export function preferredWait(header: string | readonly string[] | undefined, secondsMax: number): number | null {
  for (const preference of preferencesOf(header)) {
    // RFC 7240: if a preference is given several times, the first one counts.
    const match = /^\s*wait\s*=\s*(?:"([^"]*)"|([^\s;]*))\s*(?:;.*)?$/i.exec(preference);
    if (match === null) continue;
    const text = match[1] ?? match[2] ?? '';
    return /^\d{1,15}$/.test(text) ? Math.min(Number(text), secondsMax) : null;
  }
  return null;
}
