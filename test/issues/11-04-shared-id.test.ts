/*
 * Each service gave its row of a migration an id of its own, and nothing said which row of the target belongs to which row
 * of the source. The id of the source's row now travels in pings, which a QEMU answers without knowing what they say; a
 * vmferry says that it has read it. Both rows then have the same `shared-id`, also where the migration fails later.
 */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { encodeReverse } from '../../src/engine/stream/return-path.ts';
import { SHARED_ID_KNOWN, SHARED_ID_MARK, SharedIdReader, sharedIdPings } from '../../src/engine/stream/shared-id.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { setCapabilities } from '../helpers/closing-peer.ts';
import { localService, type MigrationRow, type Service } from '../helpers/guest-service.ts';
import { openPeer } from '../helpers/peer.ts';

type Row = MigrationRow & { readonly 'shared-id': string | null };

const GUEST = ['--ram', '2M', '--workload', 'rate=0,span=64k,pattern=hot'];
const source = (): Promise<Service> => localService(GUEST);
const target = (at: string): Promise<Service> => localService(['--ram', '2M', '--incoming', at]);

function read(values: readonly number[]): (string | null)[] {
  const reader = new SharedIdReader();
  return values.map((value) => reader.take(value));
}

test('an id goes through five pings, whatever its bytes are', () => {
  const ids = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', randomUUID()];
  const ofMarks = '766d6649-766d-6649-766d-6649766d6649';
  for (const id of [...ids, ofMarks]) {
    expect(read([1, ...sharedIdPings(id), 2])).toEqual([null, null, null, null, null, id, null]);
  }
  expect(() => sharedIdPings('id-1')).toThrow("'id-1' is no uuid");
});

test('the pings of a QEMU are no id, an unfinished id is none, and a second one changes nothing', () => {
  expect(read([1, 2, 3, 4, 0x42]).every((id) => id === null)).toBe(true);
  expect(read([1, SHARED_ID_MARK, 5, 6, 7]).every((id) => id === null)).toBe(true);
  const [one, other] = [randomUUID(), randomUUID()];
  expect(read([...sharedIdPings(one), ...sharedIdPings(other)]).filter((id) => id !== null)).toEqual([one]);
});

test.each(['tcp', 'unix'])('over %s the rows of both sides have the id of the source’s row', async (transport) => {
  const there = await target(transport === 'tcp' ? 'tcp:127.0.0.1:0' : `unix:${temporaryDirectory()}/m`);
  const here = await source();
  const { id } = await here.migrate(await there.incomingUri());
  const received = (await there.ended()) as Row;
  expect(await here.row(id)).toMatchObject({ id, status: 'completed', 'shared-id': id });
  expect(received).toMatchObject({ status: 'completed', 'shared-id': id });
  expect(received.id).not.toBe(id);
});

test('a migration that fails after its stream began has the id at both sides', async () => {
  const there = await target('tcp:127.0.0.1:0');
  const here = await localService(['--ram', '4M', '--workload', 'rate=0,span=64k,pattern=hot']);
  const { id } = await here.migrate(await there.incomingUri());
  expect(await here.row(id)).toMatchObject({ status: 'failed', 'shared-id': id });
  expect(await there.ended()).toMatchObject({ status: 'failed', 'shared-id': id });
});

test('with return-path switched off neither side has one', async () => {
  const there = await target('tcp:127.0.0.1:0');
  const here = await source();
  await setCapabilities(here, { 'return-path': false });
  const { id } = await here.migrate(await there.incomingUri());
  expect(await here.row(id)).toMatchObject({ status: 'completed', 'shared-id': null });
  expect(await there.ended()).toMatchObject({ status: 'completed', 'shared-id': null });
});

test('a target that answers pings and no more, as a QEMU does, shares no id; the word of a vmferry does', async () => {
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
