// An app that gets the requests of the fuzzer.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { App } from '../../src/app.ts';
import { settled } from '../domain/jobs/world.ts';
import { ask, type FakeApp, type Reply } from './app.ts';
import { type Document, type FuzzRequest, faultOf, fuzzRequests } from './openapi-fuzz.ts';

const DOCUMENT = JSON.parse(readFileSync(new URL('../../openapi/openapi.json', import.meta.url), 'utf8')) as Document;

/** The deviation of an answer from the document, for the operation with this id; null if there is none. */
export function faultOfAnswer(id: string, reply: Reply): string | null {
  const operations = Object.values(DOCUMENT.paths).flatMap((methods) => Object.values(methods));
  const operation = operations.find(({ operationId }) => operationId === id);
  if (operation === undefined) throw new Error(`there is no operation ${id}`);
  return faultOf(DOCUMENT, { operation }, reply);
}

type Sample = { readonly count: number; readonly seed: number };
type Statuses = ReadonlyMap<number, number>;

/** Sends requests one after another, and checks each answer against the document. @returns the number of answers with each status. */
export async function fuzz(app: FakeApp, sample: Sample): Promise<{ readonly statuses: Statuses }> {
  return await expectDescribed(sample, (request) => send(app, request));
}

/** The same for a complete service with real parts. */
export async function fuzzService({ server }: Pick<App, 'server'>, sample: Sample): Promise<Statuses> {
  const { statuses } = await expectDescribed(sample, (request) => asked(server, request));
  return statuses;
}

async function expectDescribed(
  { count, seed }: Sample,
  answerTo: (request: FuzzRequest) => Promise<Reply>,
): Promise<{ readonly statuses: Statuses }> {
  const statuses = new Map<number, number>();
  for (const [index, request] of fc.sample(fuzzRequests(DOCUMENT), { numRuns: count, seed }).entries()) {
    const reply = await answerTo(request);
    statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
    const { method, url, headers, body } = request;
    expect(
      faultOf(DOCUMENT, request, reply),
      `seed ${seed}, request ${index}: ${JSON.stringify({ method, url, headers, body })}`,
    ).toBeNull();
  }
  return { statuses };
}

function asked(server: App['server'], { method, url, headers, body }: FuzzRequest): Promise<Reply> {
  return ask(server, url, { method: method as 'GET', headers, ...(body === undefined ? {} : { body }) });
}

async function send(app: FakeApp, request: FuzzRequest): Promise<Reply> {
  const state = { isAnswered: false };
  const pending = asked(app.server, request);
  void pending.finally(() => {
    state.isAnswered = true;
  });
  while (!state.isAnswered) {
    await settled();
    workersPart(app);
  }
  return await pending;
}

/** Simulates the workers: binds an address, ends a cancelled migration, completes another. */
function workersPart(app: FakeApp): void {
  app.incoming()?.listen();
  const outgoing = app.outgoing();
  if (outgoing?.status.read() === 'cancelling') outgoing.letGo();
  else if (outgoing?.status.read() === 'setup')
    outgoing.finish('failed', { code: 'connection_refused', message: 'No.' });
}
