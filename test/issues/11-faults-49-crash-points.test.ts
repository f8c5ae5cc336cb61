// These tests kill a service with kill -9 at each named point. test/integration/crash.test.ts kills at random
// moments, so no run shows which states of a migration it has tested. Here each state is held by real means: a rate
// limit, the capability pause-before-switchover, a target that delays its confirmation, a sender that stops.
// test/block/qcow2/crash.test.ts covers each write during the life of a snapshot.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { encodeConfiguration, encodeHeader } from '../../src/engine/stream/configuration.ts';
import { SYNTHETIC_MACHINE_NAME } from '../../src/machine/synthetic/synthetic-machine.ts';
import { DATABASE_FILE } from '../../src/store/database.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { setCapabilities } from '../helpers/closing-peer.ts';
import { combinations } from '../helpers/combinations.ts';
import { localService, type MigrationRow, type Service, spawnService } from '../helpers/guest-service.ts';
import { openPeer, type Peer } from '../helpers/peer.ts';
import { connectTo } from '../helpers/transports.ts';

const GUEST = ['--ram', '8M', '--workload', 'rate=1M,span=1M,pattern=hot'] as const;
const ENDED: ReadonlySet<unknown> = new Set(['failed', 'completed', 'cancelled']);

/** Expects a valid database and no incomplete file after a kill. */
function expectSound(data: string): void {
  const database = new Database(join(data, DATABASE_FILE));
  expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
  database.close();
  const names = readdirSync(data, { recursive: true }).map(String);
  expect(names.filter((name) => /new|tmp|part|probe/.test(name))).toEqual([]);
}

/** Expects that the row has the last state and the possible owner of the guest after the restart, and that no other row is open. */
async function expectClosed(
  service: Service,
  id: string,
  { state, guest }: { readonly state: string; readonly guest: string | null },
): Promise<void> {
  const row = await service.row(id);
  expect(row).toMatchObject({ status: 'failed', guest, error: { code: 'service_stopped' } });
  expect(row.error?.desc).toContain(`in state '${state}'`);
  const { migrations } = await service.get<{ migrations: MigrationRow[] }>('/migrations?limit=100');
  const isWaiting = (await service.runState()) === 'inmigrate';
  expect(migrations.filter(({ status }) => !ENDED.has(status))).toHaveLength(isWaiting ? 1 : 0);
}

type Point = {
  readonly state: string;
  /** Null: the guest ended with the process that ran it. */
  readonly guest: 'unknown' | null;
  /** Brings a migration that has begun to the state, and holds it there. */
  readonly hold: (source: Service, peer: Peer) => Promise<unknown>;
};

const OUTGOING: readonly Point[] = [
  { state: 'active', guest: null, hold: (source) => source.untilStatus('active') },
  {
    state: 'pre-switchover',
    guest: null,
    hold: async (source) => {
      await source.set({ 'max-bandwidth': 0, 'downtime-limit': 100_000 });
      await source.untilStatus('pre-switchover');
    },
  },
  {
    state: 'device',
    guest: 'unknown',
    hold: async (source, peer) => {
      await source.set({ 'max-bandwidth': 0, 'downtime-limit': 100_000 });
      await source.untilStatus('pre-switchover');
      await source.post('/migrate/continue', { state: 'pre-switchover' });
      await peer.hasAll();
      await source.untilStatus('device');
    },
  },
];

const ENDS_OF_OUTGOING = OUTGOING.filter(({ state }) => state !== 'pre-switchover');

test.each(combinations(OUTGOING, ENDS_OF_OUTGOING))(
  'kill -9 of a source in $state leaves a closed row with the owner of the guest, and valid files',
  async ({ state, guest, hold }) => {
    const data = temporaryDirectory();
    const source = await spawnService(data, GUEST);
    await source.set({ 'max-bandwidth': 100_000, 'downtime-limit': 0 });
    await setCapabilities(source, { 'pause-before-switchover': true });
    const peer = await openPeer();
    const id = await source.start(peer.uri);
    await hold(source, peer);
    await source.end('SIGKILL');
    expectSound(data);
    const restarted = await localService(GUEST, { data });
    await expectClosed(restarted, id, { state, guest });
    await restarted.expectRunning();
  },
);

test.each(combinations(['setup', 'active'], ['active']))(
  'kill -9 of a target in %s leaves a closed row and valid files, and the next start listens',
  async (state) => {
    const data = temporaryDirectory();
    const flags = [...GUEST, '--incoming', 'tcp:127.0.0.1:0'];
    const target = await spawnService(data, flags);
    const { migrations } = await target.get<{ migrations: MigrationRow[] }>('/migrations?limit=1');
    if (state === 'active') {
      const socket = await connectTo(await target.incomingUri());
      socket.write(Buffer.concat([encodeHeader(), encodeConfiguration(SYNTHETIC_MACHINE_NAME, new Uint8Array())]));
      await target.untilStatus('active');
    }
    await target.end('SIGKILL');
    expectSound(data);
    const restarted = await localService(flags, { data });
    await expectClosed(restarted, migrations[0]!.id, { state, guest: null });
    expect(await restarted.runState()).toBe('inmigrate');
  },
);
