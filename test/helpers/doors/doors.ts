// One command through three doors: how to call each door, and which parts of their answers are comparable.

import type { Command } from '../../../src/commands/command.ts';
import { COMMANDS } from '../../../src/commands/command-table.ts';
import { execute } from '../../../src/commands/execute.ts';
import type { Operation } from '../../../src/routes/operation.ts';
import { OPERATIONS } from '../../../src/routes/route-table.ts';
import { ask, type FakeApp, fakeApp, temporaryDirectory } from '../app.ts';
import { MemoryBlocks } from '../memory-blocks.ts';
import type { JsonObject } from '../qemu/qmp.ts';
import { connectQmp, type QmpSocket, qmpAddress } from '../qmp-client.ts';

/** The result of a command. HMP has no error classes, and distinguishes invalid commands from refused ones. */
export type Answer =
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'refused'; readonly errorClass: string | null; readonly desc: string }
  | { readonly kind: 'not-understood' };

/** A service that equals all others of this module: the same names, and a constant time. */
export async function sameApp(flags: readonly string[] = []): Promise<FakeApp> {
  const blocks = new MemoryBlocks([{ name: 'disk0' }, { name: 'disk1' }]);
  const clock = { now: () => 1_700_000_000_000, monotonic: () => 1000 };
  const identity = ['--uuid', '3f9a2c4e-0000-4000-8000-000000000001', '--qmp', `unix:${temporaryDirectory()}/qmp`];
  return await fakeApp({ flags: [...identity, ...flags], blocks, clock });
}

/** The operation of a command; null if only POST /qmp runs it. */
export function operationOf(entry: Command): Operation | null {
  const own = OPERATIONS.find(({ command }) => command === entry);
  return own ?? OPERATIONS.find(({ method, covers = [] }) => method === 'GET' && covers.includes(entry)) ?? null;
}

export async function askHttp({ server }: FakeApp, entry: Command, given: JsonObject): Promise<Answer> {
  const operation = operationOf(entry);
  if (operation === null) {
    const { json } = await ask(server, '/qmp', { body: { execute: entry.name, arguments: given } });
    return answerOf(json);
  }
  const { url, body } = requestOf(operation, given);
  const { method } = operation;
  const { status, json, text, headers } = await ask(server, url, { method, ...(body === null ? {} : { body }) });
  if (status >= 400) return { kind: 'refused', errorClass: String(json['qmp-class']), desc: String(json.detail) };
  if (status === 204) return { kind: 'done', result: {} };
  return { kind: 'done', result: String(headers['content-type']).startsWith('text/plain') ? { text } : json };
}

/** The arguments at their place in the request: path, query or body. */
function requestOf({ method, path, input }: Operation, given: JsonObject) {
  const rest: Record<string, unknown> = { ...given };
  const url = path.replace(/:(\w+)/g, (_, name: string) => {
    const value = String(rest[name]);
    delete rest[name];
    return encodeURIComponent(value);
  });
  if (input !== 'query' && method !== 'DELETE') {
    return { url, body: input === 'body' || Object.keys(rest).length > 0 ? rest : null };
  }
  const query = new URLSearchParams(
    Object.entries(rest).map(([name, value]): [string, string] => [name, String(value)]),
  );
  return { url: query.size === 0 ? url : `${url}?${query}`, body: null };
}

/** A client of the app's socket that has sent nothing yet. */
export async function socketOf(app: FakeApp): Promise<QmpSocket> {
  const client = connectQmp(await qmpAddress(app));
  await client.next();
  return client;
}

/** Skips events before the answer. */
export async function askQmp(client: QmpSocket, name: string, given: JsonObject): Promise<Answer> {
  client.send(JSON.stringify({ execute: name, arguments: given }));
  let message = await client.next();
  while (message !== null && message.event !== undefined) message = await client.next();
  return answerOf(message ?? {});
}

export async function askHmp({ server }: FakeApp, line: string): Promise<Answer> {
  const { status, text, json } = await ask(server, '/hmp', { body: line, headers: { 'content-type': 'text/plain' } });
  if (json.code === 'line_not_understood') return { kind: 'not-understood' };
  if (status !== 200) throw new Error(`POST /hmp answered ${status}: ${text}`);
  const error = /^Error: (.*)\n$/.exec(text)?.[1];
  return error === undefined ? { kind: 'done', result: text } : { kind: 'refused', errorClass: null, desc: error };
}

function answerOf({ return: result, error }: JsonObject): Answer {
  const { class: errorClass, desc } = (error ?? {}) as { class?: string; desc?: string };
  return error === undefined
    ? { kind: 'done', result }
    : { kind: 'refused', errorClass: String(errorClass), desc: String(desc) };
}

/** Queries of the service itself, of the audit trail, and of devices that no machine has. */
const NOT_STATE = new Set([
  ...['x-ferry-query-audit', 'query-qmp-schema', 'query-commands', 'qmp_capabilities'],
  ...['query-balloon', 'query-hotpluggable-cpus'],
]);

/** The visible state of a service: the answers to its queries, its events, and the calls to its parts. */
export async function stateOf({ domain, machine, blocks, outgoing, incoming }: FakeApp): Promise<JsonObject> {
  const seen: Record<string, unknown> = {};
  for (const entry of COMMANDS.values()) {
    const { required = [] } = entry.arguments as { readonly required?: readonly string[] };
    if (entry.role !== 'viewer' || required.length > 0 || NOT_STATE.has(entry.name)) continue;
    seen[entry.name] = await execute(entry, { domain, arguments: {} });
  }
  return {
    ...seen,
    events: domain.events.since(0, 1000).map(({ name, data }) => ({ name, data })),
    machine: { held: [...machine.held], adopted: machine.adopted, limits: [...machine.dirty.limits] },
    plans: { dirty: machine.dirty.plans, outgoing: outgoing()?.continued ?? null, incoming: incoming()?.calls ?? null },
    disks: { log: blocks.log, tags: [blocks.tags('disk0'), blocks.tags('disk1')] },
  };
}

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** The same with ids replaced by their order, since each service generates its own. */
export function withoutIds(value: unknown): unknown {
  const seen = new Map<string, string>();
  const text = JSON.stringify(value, (_name, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part));
  if (text === undefined) return value;
  const numbered = text.replace(UUID, (id) => {
    if (!seen.has(id)) seen.set(id, `id ${seen.size}`);
    return seen.get(id) ?? id;
  });
  return JSON.parse(numbered);
}
