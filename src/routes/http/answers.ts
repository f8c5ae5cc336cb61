import type { FastifyReply } from 'fastify';
import { DomainError } from '../../commands/errors.ts';
import { stringifyJson } from '../../commands/json/stringify.ts';
import { migrationEnded, type Watched } from '../../commands/waiting.ts';
import type { Call } from '../operation.ts';
import { sendJson } from '../register.ts';
import { digest, matchesAny, matchesStrongly, strongTag, weakTag } from './etag.ts';
import { preferredWait } from './prefer.ts';

/* Answers that are more than a result: tagged ones that can be waited for, guarded changes, work that goes on. */

/** 202 with the migration's place, or 200 with `Prefer: wait` once it has ended. */
export async function sendAccepted(call: Call): Promise<FastifyReply> {
  const { reply, signal, context } = call;
  const started = (await call.run()) as { readonly id: string };
  reply.header('location', `/migrations/${started.id}`);
  const wait = waitOf(call);
  if (wait === null) return sendJson(reply.code(202), started);
  const { ended, migration } = await migrationEnded(context.domain, started.id, { timeoutMs: wait * 1000, signal });
  return sendJson(reply.code(ended ? 200 : 202), migration);
}

/** A result whose tag is its version: figures that go on changing, so a weak tag. */
export async function sendWeaklyTagged(call: Call, watched: Watched): Promise<FastifyReply> {
  const { reply, request, context } = call;
  const tag = () => weakTag([context.instance, watched.version()]);
  await waitWhileSeen(call, watched, tag);
  const now = tag();
  reply.header('etag', now).header('cache-control', 'no-cache');
  if (matchesAny(request.headers['if-none-match'], now)) return reply.code(304).send();
  return sendJson(reply, await call.run());
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

/** Seconds that the client wants to wait, told back to it; null if it did not say. */
function waitOf(call: Call): number | null {
  const wait = preferredWait(call.request.headers.prefer, call.context.limits.waitSecondsMax);
  if (wait !== null) call.reply.header('preference-applied', `wait=${wait}`);
  return wait;
}
