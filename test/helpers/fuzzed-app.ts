// An app that is sent what the fuzzer made up.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect } from 'vitest';
import { settled } from '../domain/jobs/world.ts';
import { ask, type FakeApp, type Reply } from './app.ts';
import { type Document, type FuzzRequest, faultOf, fuzzRequests } from './openapi-fuzz.ts';

const DOCUMENT = JSON.parse(readFileSync(new URL('../../openapi/openapi.json', import.meta.url), 'utf8')) as Document;

/** What is wrong, by the document, with an answer to the operation of this id; null if nothing is. */
export function faultOfAnswer(id: string, reply: Reply): string | null {
  const operations = Object.values(DOCUMENT.paths).flatMap((methods) => Object.values(methods));
  const operation = operations.find(({ operationId }) => operationId === id);
  if (operation === undefined) throw new Error(`there is no operation ${id}`);
  return faultOf(DOCUMENT, { operation }, reply);
}

/** Sends requests one after another, and expects of each answer what the document says. @returns how often each status came. */
export async function fuzz(
  app: FakeApp,
  { count, seed }: { readonly count: number; readonly seed: number },
): Promise<{ readonly statuses: ReadonlyMap<number, number> }> {
  const statuses = new Map<number, number>();
  for (const [index, request] of fc.sample(fuzzRequests(DOCUMENT), { numRuns: count, seed }).entries()) {
    const reply = await send(app, request);
    statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
    const { method, url, headers, body } = request;
    expect(
      faultOf(DOCUMENT, request, reply),
      `seed ${seed}, request ${index}: ${JSON.stringify({ method, url, headers, body })}`,
    ).toBeNull();
  }
  return { statuses };
}

async function send(app: FakeApp, { method, url, headers, body }: FuzzRequest): Promise<Reply> {
  const state = { isAnswered: false };
  const pending = ask(app.server, url, { method: method as 'GET', headers, ...(body === undefined ? {} : { body }) });
  void pending.finally(() => {
    state.isAnswered = true;
  });
  while (!state.isAnswered) {
    await settled();
    workersPart(app);
  }
  return await pending;
}

/** What workers would do in the meantime: an address is bound, a cancelled migration lets go, another comes to its end. */
function workersPart(app: FakeApp): void {
  app.incoming()?.listen();
  const outgoing = app.outgoing();
  if (outgoing?.status.read() === 'cancelling') outgoing.letGo();
  else if (outgoing?.status.read() === 'setup')
    outgoing.finish('failed', { code: 'connection_refused', message: 'No.' });
}
