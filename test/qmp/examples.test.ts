import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type FakeApp, fakeApp, temporaryDirectory } from '../helpers/app.ts';
import { MemoryBlocks } from '../helpers/memory-blocks.ts';
import type { JsonObject } from '../helpers/qemu/qmp.ts';
import { negotiated, type QmpSocket, qmpAddress } from '../helpers/qmp-client.ts';

/*
 * The examples of QEMU's schema document, sent over a socket as they stand there, of a service that is in the state in
 * which each is meant. What is printed of an answer has to be in ours.
 */
type Example = {
  readonly execute: string;
  readonly arguments?: JsonObject;
  readonly flags?: readonly string[];
  readonly before?: (app: FakeApp) => unknown;
  /** The actions of the test that the answer requires. */
  readonly meanwhile?: (app: FakeApp) => unknown;
  /** Default: {}. */
  readonly answer?: unknown;
};

const channels = (addr: JsonObject) => ({ channels: [{ 'channel-type': 'main', addr }] });
const INET = channels({ transport: 'socket', type: 'inet', host: '10.12.34.9', port: '1050' });
const EXEC = channels({ transport: 'exec', args: ['/bin/nc', '-p', '6000', '/some/sock'] });
const RDMA = channels({ transport: 'rdma', host: '10.12.34.9', port: '1050' });
const file = (offset: unknown) => channels({ transport: 'file', filename: '/tmp/migfile', offset });
const DEFER = ['--incoming', 'defer'];

const PRINTED_RAM = {
  transferred: 123,
  remaining: 123,
  total: 246,
  duplicate: 123,
  normal: 123,
  'normal-bytes': 123 * 4096,
  'dirty-sync-count': 15,
};
const TIMES = { 'total-time': 12345, 'setup-time': 12345 };

/** A migration with the figures that the document prints. */
function migrates({ domain, outgoing }: FakeApp): void {
  domain.migration.start({ uri: 'tcp:h:1' });
  outgoing().step('active');
  outgoing().setFigures({
    totalTimeMs: 12345,
    setupTimeMs: 12345,
    downtimeMs: 12345,
    expectedDowntimeMs: 12345,
    transferredBytes: 123,
    remainingBytes: 123,
    totalBytes: 246,
    duplicatePages: 123,
    normalPages: 123,
    dirtySyncCount: 15,
  });
}

async function hasMigrated(app: FakeApp, how: 'completed' | 'failed'): Promise<void> {
  migrates(app);
  const [record] = app.domain.history.list({ limit: 1, cursor: null }).items;
  if (how === 'completed') app.outgoing().step('device');
  app.outgoing().finish(how, how === 'failed' ? { code: 'peer_reset', message: 'It broke.' } : null);
  await app.domain.migration.ended(String(record?.id), 20_000);
}

async function listens({ incoming }: FakeApp): Promise<void> {
  while (incoming() === undefined) await new Promise(setImmediate);
  incoming().listen();
}

function waitsBeforeSwitchover({ domain, outgoing }: FakeApp): void {
  domain.migration.start({ uri: 'tcp:h:1' });
  outgoing().step('active');
  outgoing().step('pre-switchover');
}

function limited({ machine, domain }: FakeApp): void {
  machine.dirty.ringEntries = 4096;
  machine.vcpus = 2;
  machine.dirty.rates = [3 * 2 ** 20, 3 * 2 ** 20];
  domain.dirty.setVcpuDirtyLimit(60);
}

const MIGRATING: readonly Example[] = [
  { execute: 'query-migrate' },
  {
    execute: 'query-migrate',
    before: (app) => hasMigrated(app, 'completed'),
    answer: { status: 'completed', ...TIMES, downtime: 12345, ram: { ...PRINTED_RAM, remaining: expect.any(Number) } },
  },
  { execute: 'query-migrate', before: (app) => hasMigrated(app, 'failed'), answer: { status: 'failed' } },
  {
    execute: 'query-migrate',
    before: migrates,
    answer: { status: 'active', ...TIMES, 'expected-downtime': 12345, ram: PRINTED_RAM },
  },
  { execute: 'migrate_cancel' },
  { execute: 'migrate-continue', arguments: { state: 'pre-switchover' }, before: waitsBeforeSwitchover },
  { execute: 'migrate', arguments: { uri: 'tcp:0:4446' } },
  { execute: 'migrate', arguments: INET },
  { execute: 'migrate', arguments: EXEC, flags: ['--allow-exec'] },
  // The offset is printed as the text "0x1000", which QEMU 10.0 refuses.
  { execute: 'migrate', arguments: file(0x1000), flags: ['--file-root', '/tmp'] },
  { execute: 'migrate-incoming', arguments: { uri: 'tcp:0:4446' }, flags: DEFER, meanwhile: listens },
  { execute: 'migrate-incoming', arguments: INET, flags: DEFER, meanwhile: listens },
  { execute: 'migrate-incoming', arguments: EXEC, flags: [...DEFER, '--allow-exec'], meanwhile: listens },
];

const SETTINGS: readonly Example[] = [
  {
    execute: 'query-migrate-capabilities',
    before: ({ domain }) => domain.settings.setCapabilities([{ capability: 'events', state: true }]),
    answer: expect.arrayContaining([
      { state: false, capability: 'xbzrle' },
      { state: false, capability: 'rdma-pin-all' },
      { state: false, capability: 'auto-converge' },
      { state: false, capability: 'zero-blocks' },
      { state: true, capability: 'events' },
      { state: false, capability: 'postcopy-ram' },
      { state: false, capability: 'x-colo' },
    ]),
  },
  { execute: 'migrate-set-parameters', arguments: { 'multifd-channels': 5 } },
  {
    execute: 'query-migrate-parameters',
    // The default of the QEMU version of the document.
    before: ({ domain }) => domain.settings.setParameters({ 'max-bandwidth': 33554432 }),
    answer: {
      'multifd-channels': 2,
      'cpu-throttle-increment': 10,
      'cpu-throttle-initial': 20,
      'max-bandwidth': 33554432,
      'downtime-limit': 300,
    },
  },
];

const MEASURED = {
  'sample-pages': 512,
  mode: 'page-sampling',
  'start-time': expect.any(Number),
  'calc-time': 10,
  'calc-time-unit': 'second',
};

const DIRTY: readonly Example[] = [
  { execute: 'calc-dirty-rate', arguments: { 'calc-time': 1, 'sample-pages': 512 } },
  {
    execute: 'calc-dirty-rate',
    arguments: { 'calc-time': 500, 'calc-time-unit': 'millisecond', mode: 'dirty-bitmap' },
  },
  {
    execute: 'query-dirty-rate',
    before: ({ domain }) => domain.dirty.calcDirtyRate({ 'calc-time': 10 }),
    answer: { status: 'measuring', ...MEASURED },
  },
  {
    execute: 'query-dirty-rate',
    before: async ({ domain, machine }) => {
      domain.dirty.calcDirtyRate({ 'calc-time': 10 });
      machine.dirty.found({ elapsedMs: 10_000, bytes: 1080 * 2 ** 20, bytesByVcpu: [] });
      await expect.poll(() => domain.dirty.queryDirtyRate().status).toBe('measured');
    },
    answer: { status: 'measured', 'dirty-rate': 108, ...MEASURED },
  },
  // Both are printed with an additional brace, which is removed here.
  { execute: 'set-vcpu-dirty-limit', arguments: { 'dirty-rate': 200, 'cpu-index': 1 }, before: limited },
  { execute: 'cancel-vcpu-dirty-limit', arguments: { 'cpu-index': 1 }, before: limited },
  {
    execute: 'query-vcpu-dirty-limit',
    before: limited,
    answer: [
      { 'limit-rate': 60, 'current-rate': 3, 'cpu-index': 0 },
      { 'limit-rate': 60, 'current-rate': 3, 'cpu-index': 1 },
    ],
  },
];

/** The folder in place of /tmp of the document. */
const FILES = join(tmpdir(), `vmferry-examples-${process.pid}`);
afterAll(() => rmSync(FILES, { recursive: true, force: true }));
const SAVED = { filename: join(FILES, 'save') };

const XEN_AND_COLO: readonly Example[] = [
  { execute: 'xen-save-devices-state', arguments: SAVED, flags: ['--file-root', FILES] },
  {
    execute: 'xen-load-devices-state',
    arguments: SAVED,
    flags: ['--file-root', FILES, '--paused'],
    before: ({ domain }) => domain.devices.save(SAVED.filename),
  },
  { execute: 'xen-set-global-dirty-log', arguments: { enable: true } },
  { execute: 'xen-set-replication', arguments: { enable: true, primary: false } },
  { execute: 'query-xen-replication-status', answer: { error: false } },
  { execute: 'xen-colo-do-checkpoint' },
  // A machine in COLO would answer primary, none, request.
  { execute: 'query-colo-status', answer: { mode: 'none', 'last-mode': 'none', reason: 'none' } },
  {
    execute: 'announce-self',
    arguments: { initial: 50, max: 550, rounds: 10, step: 50, interfaces: ['vn2', 'vn3'], id: 'bob' },
  },
];

/** Examples that cannot work here, with the reason. The first five require features that are not available yet. */
const REFUSED: readonly (Example & { readonly answer: string })[] = [
  {
    execute: 'migrate-set-capabilities',
    arguments: { capabilities: [{ capability: 'xbzrle', state: true }] },
    answer: 'not available',
  },
  { execute: 'migrate-start-postcopy', answer: 'postcopy' },
  { execute: 'migrate-recover', arguments: { uri: 'tcp:192.168.1.200:12345' }, answer: 'postcopy' },
  { execute: 'migrate-pause', answer: 'postcopy' },
  { execute: 'x-colo-lost-heartbeat', answer: 'COLO' },
  // As in a QEMU on a host without RDMA.
  { execute: 'migrate', arguments: RDMA, answer: 'not available on this host' },
  { execute: 'migrate-incoming', arguments: RDMA, flags: DEFER, answer: 'not available on this host' },
  // As in QEMU 10.0.
  { execute: 'migrate', arguments: file('0x1000'), flags: ['--file-root', '/tmp'], answer: 'integer' },
];

async function socketApp(flags: readonly string[] = []) {
  const blocks = new MemoryBlocks([{ name: 'disk0' }, { name: 'disk1' }]);
  const app = await fakeApp({ flags: ['--qmp', `unix:${join(temporaryDirectory(), 'qmp')}`, ...flags], blocks });
  return { app, client: await negotiated(await qmpAddress(app)) };
}

type Told = { readonly events: readonly string[]; readonly answer: JsonObject };

/** Sends a command. @returns its answer, and the events before it. */
async function say(client: QmpSocket, execute: string, given?: JsonObject): Promise<Told> {
  const events: string[] = [];
  client.send(JSON.stringify({ execute, ...(given === undefined ? {} : { arguments: given }) }));
  for (;;) {
    const message = await client.next();
    if (message === null) throw new Error('the connection was closed');
    if (message.event === undefined) return { events, answer: message };
    events.push(eventText(message));
  }
}

/** An event by its name and its data, as JSON. */
function eventText({ event, data }: JsonObject): string {
  return data === undefined ? String(event) : `${event} ${JSON.stringify(data)}`;
}

async function askedFor(example: Example): Promise<JsonObject> {
  const { app, client } = await socketApp(example.flags);
  await example.before?.(app);
  const [{ answer }] = await Promise.all([say(client, example.execute, example.arguments), example.meanwhile?.(app)]);
  return answer;
}

describe('the examples of the document', () => {
  test.each([...MIGRATING, ...SETTINGS, ...DIRTY, ...XEN_AND_COLO])(
    '$execute $arguments returns the printed answer',
    async (example) => {
      const { return: result, error } = await askedFor(example);
      expect(error).toBeUndefined();
      if (example.answer === undefined) expect(result).toEqual({});
      else if (example.execute === 'query-migrate-capabilities') expect(result).toEqual(example.answer);
      else expect(result).toMatchObject(example.answer as object);
    },
  );

  test.each(REFUSED)('$execute $arguments is refused with the reason', async (example) => {
    const { error } = await askedFor(example);
    expect(error).toMatchObject({ class: 'GenericError', desc: expect.stringContaining(example.answer) });
  });
});

const JOB = ['created', 'running', 'waiting', 'pending', 'concluded'];

/** The events of a job, with these events of the guest after its second one. */
function printedEvents(id: string, ...ofGuest: readonly string[]): readonly string[] {
  const own = JOB.map((status) => `JOB_STATUS_CHANGE ${JSON.stringify({ id, status })}`);
  return [...own.slice(0, 2), ...ofGuest, ...own.slice(2)];
}

describe('the examples of snapshots', () => {
  test('are printed in order, with their events and jobs', async () => {
    const { client } = await socketApp();
    const tag = { tag: 'my-snap', devices: ['disk0', 'disk1'] };
    for (const [execute, id, given, ofGuest] of [
      ['snapshot-save', 'snapsave0', { ...tag, vmstate: 'disk0' }, ['STOP', 'RESUME']],
      ['snapshot-load', 'snapload0', { ...tag, vmstate: 'disk0' }, ['STOP', 'RESUME']],
      ['snapshot-delete', 'snapdelete0', tag, []],
    ] as const) {
      const { events, answer } = await say(client, execute, { 'job-id': id, ...given });
      expect(answer).toEqual({ return: {} });
      const told = [...events];
      while (!told.at(-1)?.includes('concluded')) told.push(eventText((await client.next()) ?? {}));
      expect(told).toEqual(printedEvents(id, ...ofGuest));
      const { answer: listed } = await say(client, 'query-jobs');
      const [job] = listed.return as readonly JsonObject[];
      expect(job).toMatchObject({ status: 'concluded', type: execute, id });
      expect(job).not.toHaveProperty('error');
      for (const progress of ['current-progress', 'total-progress']) expect(job).toHaveProperty(progress);
    }
  });
});

describe('the examples of events', () => {
  test('are sent in the printed form', async () => {
    const { app, client } = await socketApp(['--enable', 'events']);
    migrates(app);
    app.outgoing().listener.pass(2);
    app.outgoing().step('device');
    app.outgoing().finish('completed');
    const told: JsonObject[] = [];
    while (eventText(told.at(-1) ?? {}) !== 'MIGRATION {"status":"completed"}') told.push((await client.next()) ?? {});
    expect(told.map(eventText)).toContain('MIGRATION_PASS {"pass":2}');
    const timestamp = { seconds: expect.any(Number), microseconds: expect.any(Number) };
    for (const message of told) expect(message).toMatchObject({ timestamp });
  });
});
