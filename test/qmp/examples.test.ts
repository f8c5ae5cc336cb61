import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { OPERATIONS } from '../../src/routes/index.ts';
import { ask, fakeApp, temporaryDirectory } from '../helpers/app.ts';
import type { JsonObject } from '../helpers/qemu/qmp.ts';
import { negotiated, qmpAddress } from '../helpers/qmp-client.ts';

/*
 * The forms in which QEMU's documentation of these commands calls them, sent as a client would. `done`: it is answered
 * with {}; `told`: with a result; `refused`: its form is right, and what it asks for cannot be here or now.
 */
type Form = readonly [name: string, given: JsonObject | undefined, outcome: 'done' | 'told' | 'refused'];

const inet = (host: string, port: string) => ({ transport: 'socket', type: 'inet', host, port });
const to = (addr: JsonObject) => ({ channels: [{ 'channel-type': 'main', addr }] });
const snapshot = { 'job-id': 'snapsave0', tag: 'my-snap', vmstate: 'disk0', devices: ['disk0', 'disk1'] };
const exec = { transport: 'exec', args: ['/bin/nc', '-p', '6000', '/some/sock'] };

const FORMS: readonly Form[] = [
  ['query-migrate', undefined, 'told'],
  ['migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] }, 'done'],
  ['migrate-set-capabilities', { capabilities: [{ capability: 'xbzrle', state: true }] }, 'refused'],
  ['query-migrate-capabilities', undefined, 'told'],
  ['migrate-set-parameters', { 'multifd-channels': 5 }, 'done'],
  ['query-migrate-parameters', undefined, 'told'],
  ['migrate-start-postcopy', undefined, 'refused'],
  ['migrate-pause', undefined, 'refused'],
  ['migrate-recover', { uri: 'tcp:192.168.1.200:12345' }, 'refused'],
  ['migrate_cancel', undefined, 'done'],
  ['migrate-continue', { state: 'pre-switchover' }, 'refused'],
  ['migrate', { uri: 'tcp:0:4446' }, 'done'],
  ['migrate', to(inet('10.12.34.9', '1050')), 'done'],
  ['migrate', to(exec), 'refused'],
  ['migrate', to({ transport: 'rdma', host: '10.12.34.9', port: '1050' }), 'refused'],
  ['migrate', to({ transport: 'file', filename: 'migration.bin', offset: 0 }), 'done'],
  ['migrate', { uri: 'tcp:0:4446', detach: true }, 'done'],
  ['migrate-incoming', { uri: 'tcp:0:4446' }, 'refused'],
  ['migrate-incoming', to(inet('10.12.34.9', '1050')), 'refused'],
  ['snapshot-save', { ...snapshot, devices: ['disk0'] }, 'done'],
  ['snapshot-load', { ...snapshot, 'job-id': 'snapload0', devices: ['disk0'] }, 'done'],
  ['snapshot-delete', { 'job-id': 'snapdelete0', tag: 'my-snap', devices: ['disk0'] }, 'done'],
  ['query-jobs', undefined, 'told'],
  ['job-cancel', { id: 'nothing' }, 'refused'],
  ['query-status', undefined, 'told'],
  ['stop', undefined, 'done'],
  ['cont', undefined, 'done'],
  ['query-name', undefined, 'told'],
  ['query-uuid', undefined, 'told'],
  ['query-version', undefined, 'told'],
  ['query-commands', undefined, 'told'],
  ['query-qmp-schema', undefined, 'told'],
  ['human-monitor-command', { 'command-line': 'info status' }, 'told'],
  ['migrate_set_speed', { value: 1024 }, 'done'],
  ['migrate_set_downtime', { value: 0.1 }, 'done'],
  ['migrate-set-cache-size', { value: 536870912 }, 'done'],
  ['query-migrate-cache-size', undefined, 'told'],
  ['quit', undefined, 'done'],
];

/** Answers of one kind have nothing in them that differs from call to call. */
function isOf(outcome: Form[2], answer: unknown): boolean {
  const { return: result, error } = answer as { return?: unknown; error?: { class: string } };
  if (outcome === 'refused') return error?.class === 'GenericError';
  if (error !== undefined || result === undefined) return false;
  return outcome === 'told' || JSON.stringify(result) === '{}';
}

async function socketApp() {
  const app = await fakeApp({ flags: ['--qmp', `unix:${join(temporaryDirectory(), 'qmp')}`] });
  return { app, client: await negotiated(await qmpAddress(app)) };
}

describe('the forms of the documentation', () => {
  test.each(FORMS)('%s %j is %s, over a socket as over HTTP', async (execute, given, outcome) => {
    const envelope = { execute, ...(given === undefined ? {} : { arguments: given }), id: 'own' };
    const { app, client } = await socketApp();
    const { app: other } = await socketApp();
    if (execute === 'snapshot-load') {
      for (const { blocks } of [app, other]) blocks.put('disk0', { tag: 'my-snap', vmStateBytes: 1 });
    }
    client.send(JSON.stringify(envelope));
    let overSocket = await client.next();
    while (overSocket !== null && overSocket.event !== undefined) overSocket = await client.next();
    const overHttp = await ask(other.server, '/qmp', { body: envelope });
    expect(overHttp.status).toBe(200);
    for (const answer of [overSocket, overHttp.json]) {
      expect(isOf(outcome, answer), JSON.stringify(answer).slice(0, 200)).toBe(true);
      expect(answer).toHaveProperty('id', 'own');
    }
    const refusals = [overSocket, overHttp.json].map((answer) => (answer as JsonObject).error);
    expect(refusals[0]).toEqual(refusals[1]);
  });
});

describe('what HTTP shows', () => {
  const shown = OPERATIONS.filter(
    ({ method, path, command, replies }) =>
      method === 'GET' && command !== null && !path.includes(':') && replies[200]?.type === undefined,
  );

  test.each(shown)('by GET $path is what QMP answers to its command', async ({ path, command }) => {
    const { app, client } = await socketApp();
    client.send(JSON.stringify({ execute: command?.name }));
    const answer = await client.next();
    const { status, json } = await ask(app.server, path);
    expect(status).toBe(200);
    expect((answer as JsonObject).return).toEqual(json);
  });
});
