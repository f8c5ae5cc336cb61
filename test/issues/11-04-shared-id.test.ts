// Each service gave its row of a migration its own id, and nothing connected the row of the target with the row of
// the source. Now the source sends the id of its row in pings, which a QEMU answers without interpreting them. A
// vmferry confirms that it has read the id. Both rows then have the same `shared-id`, even if the migration fails
// later. A target that refused the configuration, which precedes the first ping, stopped reading and never got the
// id.

import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { encodeConfiguration, encodeHeader, encodeUuidSubsection } from '../../src/engine/stream/configuration.ts';
import {
  encodeReverse,
  SHARED_ID_KNOWN,
  SHARED_ID_MARK,
  SharedIdReader,
  sharedIdPings,
} from '../../src/engine/stream/return-path.ts';
import { encodeCommand } from '../../src/engine/stream/stream-elements.ts';
import { SYNTHETIC_MACHINE_NAME } from '../../src/machine/synthetic/synthetic-machine.ts';
import { ask, startApp, temporaryDirectory, testConfig } from '../helpers/app.ts';
import { setCapabilities } from '../helpers/closing-peer.ts';
import { combinations, testInSoak } from '../helpers/combinations.ts';
import { localService, type MigrationRow, Service } from '../helpers/guest-service.ts';
import { captureLog } from '../helpers/logged-app.ts';
import { MemoryBlocks } from '../helpers/memory-blocks.ts';
import { openPeer } from '../helpers/peer.ts';
import { readStreamFixture } from '../helpers/qemu/fixtures.ts';
import { connectTo } from '../helpers/transports.ts';

type Row = MigrationRow & { readonly 'shared-id': string | null };

const GUEST = ['--ram', '2M', '--workload', 'rate=0,span=64k,pattern=hot'];
const source = (): Promise<Service> => localService(GUEST);
const target = (at: string): Promise<Service> => localService(['--ram', '2M', '--incoming', at]);

function read(values: readonly number[]): (string | null)[] {
  const reader = new SharedIdReader();
  return values.map((value) => reader.take(value));
}

test('five pings carry an id with any bytes', () => {
  const ids = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', randomUUID()];
  const ofMarks = '766d6649-766d-6649-766d-6649766d6649';
  for (const id of [...ids, ofMarks]) {
    expect(read([1, ...sharedIdPings(id), 2])).toEqual([null, null, null, null, null, id, null]);
  }
  expect(() => sharedIdPings('id-1')).toThrow("'id-1' is no uuid");
});

test('the pings of a QEMU and an incomplete id give no id, and a second id is ignored', () => {
  expect(read([1, 2, 3, 4, 0x42]).every((id) => id === null)).toBe(true);
  expect(read([1, SHARED_ID_MARK, 5, 6, 7]).every((id) => id === null)).toBe(true);
  const [one, other] = [randomUUID(), randomUUID()];
  expect(read([...sharedIdPings(one), ...sharedIdPings(other)]).filter((id) => id !== null)).toEqual([one]);
});

test.each(combinations(['tcp', 'unix'], ['unix']))(
  'over %s the rows of both sides have the id of the row of the source',
  async (transport) => {
    const there = await target(transport === 'tcp' ? 'tcp:127.0.0.1:0' : `unix:${temporaryDirectory()}/m`);
    const here = await source();
    const { id } = await here.migrate(await there.incomingUri());
    const received = (await there.ended()) as Row;
    expect(await here.row(id)).toMatchObject({ id, status: 'completed', 'shared-id': id });
    expect(received).toMatchObject({ status: 'completed', 'shared-id': id });
    expect(received.id).not.toBe(id);
  },
);

test('both sides have the id of a migration that fails after its stream began', async () => {
  const there = await target('tcp:127.0.0.1:0');
  const here = await localService(['--ram', '4M', '--workload', 'rate=0,span=64k,pattern=hot']);
  const { id } = await here.migrate(await there.incomingUri());
  expect(await here.row(id)).toMatchObject({ status: 'failed', 'shared-id': id });
  expect(await there.ended()).toMatchObject({ status: 'failed', 'shared-id': id });
});

const UUIDS = ['5d7f14d3-9a6b-4c8e-8f0a-1b2c3d4e5f60', '0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9'] as const;

test.each(combinations(['tcp', 'unix'], ['tcp']))(
  'over %s a target that refuses the uuid has the id, and reports the refusal to the source',
  async (transport) => {
    const flags = (uuid: string) => [
      '--ram',
      '2M',
      '--workload',
      'rate=0',
      '--uuid',
      uuid,
      '--enable',
      'validate-uuid',
    ];
    const at = transport === 'tcp' ? 'tcp:127.0.0.1:0' : `unix:${temporaryDirectory()}/m`;
    const there = await localService([...flags(UUIDS[0]), '--incoming', at]);
    const here = await localService(flags(UUIDS[1]));
    const { id } = await here.migrate(await there.incomingUri());
    const error = { code: 'target_refused' };
    expect(await here.row(id)).toMatchObject({ status: 'failed', guest: 'here', 'shared-id': id, error });
    expect(await there.ended()).toMatchObject({ status: 'failed', 'shared-id': id, error: { code: 'uuid_differs' } });
    await here.expectRunning();
  },
);

async function loggedService(flags: readonly string[]) {
  const log = captureLog();
  const config = { ...testConfig(['--ram', '2M', '--workload', 'rate=0', ...flags]), logLevel: 'info' } as const;
  const app = await startApp(config, { blocks: new MemoryBlocks(), logStream: log.stream });
  return { service: new Service((path, request) => ask(app.server, path, request)), lines: log.lines };
}

test('the logs of both sides contain the id when it is known and at the end', async () => {
  const there = await loggedService(['--incoming', 'tcp:127.0.0.1:0']);
  const here = await loggedService([]);
  const { id } = await here.service.migrate(await there.service.incomingUri());
  await there.service.ended();
  for (const { lines } of [here, there]) {
    const told = lines().filter((line) => line['shared-id'] === id);
    expect(told.map(({ msg }) => msg)).toEqual([
      'both sides of a migration know it by one id',
      'a migration completed',
    ]);
  }
});

testInSoak('a target that refuses the machine type has the id', async () => {
  const root = temporaryDirectory();
  writeFileSync(join(root, 'machine'), readStreamFixture('isapc-10.0').stream);
  const flags = ['--machine', 'image', '--file-root', root, '--incoming', 'file:machine'];
  const here = await localService(flags);
  await here.untilStatus('completed');
  const there = await target('tcp:127.0.0.1:0');
  const { id } = await here.migrate(await there.incomingUri());
  expect(await here.row(id)).toMatchObject({ status: 'failed', guest: 'here', 'shared-id': id });
  expect(await there.ended()).toMatchObject({ 'shared-id': id, error: { code: 'machine_differs' } });
});

describe('an incoming migration whose uuid is refused', () => {
  const configuration = Buffer.concat([
    encodeHeader(),
    encodeConfiguration(SYNTHETIC_MACHINE_NAME, encodeUuidSubsection(UUIDS[1])),
  ]);
  const opened = encodeCommand({ name: 'open-return-path' });
  const ping = encodeCommand({ name: 'ping', value: 1 });

  const ENDS: readonly (readonly [string, readonly (Buffer | null)[]])[] = [
    ['sends no more', [configuration, opened]],
    ['sends half of an id', [configuration, opened, ...Array(3).fill(ping)]],
    ['sends pings without end', [configuration, opened, ...Array(100).fill(ping)]],
    ['continues with other data than a ping', [configuration, Buffer.alloc(100, 4)]],
    ['ends its stream', [configuration, opened, null]],
  ];

  test.each(combinations(ENDS, ENDS.slice(1)))('fails with that reason if the sender %s', async (_, parts) => {
    const flags = ['--ram', '2M', '--uuid', UUIDS[0], '--enable', 'validate-uuid', '--incoming', 'tcp:127.0.0.1:0'];
    const there = await localService(flags);
    const socket = await connectTo(await there.incomingUri());
    for (const part of parts) {
      if (part === null) socket.end();
      else socket.write(part);
    }
    const row = (await there.ended()) as Row;
    expect(row).toMatchObject({ status: 'failed', 'shared-id': null, error: { code: 'uuid_differs' } });
  });
});

test('neither side has a shared id if return-path is off', async () => {
  const there = await target('tcp:127.0.0.1:0');
  const here = await source();
  await setCapabilities(here, { 'return-path': false });
  const { id } = await here.migrate(await there.incomingUri());
  expect(await here.row(id)).toMatchObject({ status: 'completed', 'shared-id': null });
  expect(await there.ended()).toMatchObject({ status: 'completed', 'shared-id': null });
});

test('a target shares the id only if it confirms the id, not if it only answers pings as a QEMU does', async () => {
  const said = [1, SHARED_ID_MARK, SHARED_ID_KNOWN].map((value) => encodeReverse({ type: 'pong', value }));
  for (const [words, isShared] of [
    [said.slice(0, 2), false],
    [said, true],
  ] as const) {
    const peer = await openPeer(async (socket, arrived) => {
      await arrived.hasAll();
      socket.write(Buffer.concat([...words, encodeReverse({ type: 'shut', value: 0 })]));
    });
    const here = await source();
    const { id } = await here.migrate(peer.uri);
    expect(await here.row(id)).toMatchObject({ status: 'completed', 'shared-id': isShared ? id : null });
  }
});
