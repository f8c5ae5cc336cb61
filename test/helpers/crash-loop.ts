// A service that is killed at random moments and started again on the same data, with checks after each start.

import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished } from 'vitest';
import { DATABASE_FILE } from '../../src/store/database.ts';
import { temporaryDirectory } from './app.ts';
import { localService, type MigrationRow, type Spawned, spawnService } from './guest-service.ts';
import { openPeer } from './peer.ts';

const GUEST = ['--ram', '8M', '--workload', 'rate=8M,span=4M,pattern=seq', '--enable', 'events'] as const;
const INCOMING = ['--incoming', 'tcp:127.0.0.1:0'] as const;
/** The latest moment of a kill after the start of the work, in milliseconds. */
const KILL_MS_MAX = 250;
/** Both parameters of a change have this value and more: a rate at which no migration completes before the kill. */
const FIRST_VALUE = 100_000;

/** Changes two parameters at a time to the same value during an outgoing migration; then the service is killed. */
export async function crashOutgoing(rounds: number): Promise<void> {
  const data = temporaryDirectory();
  const peer = await openPeer();
  const values = { sent: FIRST_VALUE, acknowledged: 0 };
  let service = await spawnService(data, GUEST);
  await change(service, values);
  for (let round = 0; round < rounds; round += 1) {
    await service.expectRunning();
    const id = await service.start(peer.uri);
    const changes = changeUntilKilled(service, values);
    await moment();
    await service.end('SIGKILL');
    await changes;
    const kept = inspect(data);
    service = await spawnService(data, GUEST);
    await expectWhole(service, id, kept);
    expect(kept.value).toBeGreaterThanOrEqual(values.acknowledged);
    expect(kept.value).toBeLessThanOrEqual(values.sent);
  }
  await service.end('SIGKILL');
}

/** The service is killed during an incoming migration. The source keeps its guest. */
export async function crashIncoming(rounds: number): Promise<void> {
  const data = temporaryDirectory();
  const source = await localService(GUEST);
  await source.set({ 'max-bandwidth': 1_000_000, 'downtime-limit': 0 });
  await source.expectRunning();
  let service = await spawnService(data, [...GUEST, ...INCOMING]);
  for (let round = 0; round < rounds; round += 1) {
    const { migrations } = await service.get<{ migrations: MigrationRow[] }>('/migrations?limit=1');
    await source.start(await service.incomingUri());
    await source.untilStatus('active');
    await moment();
    await service.end('SIGKILL');
    expect(await source.ended()).toMatchObject({ status: 'failed', guest: 'here' });
    await source.expectRunning();
    const kept = inspect(data);
    service = await spawnService(data, [...GUEST, ...INCOMING]);
    await expectWhole(service, migrations[0]!.id, kept);
  }
  await service.end('SIGKILL');
}

async function change(service: Spawned, values: { sent: number; acknowledged: number }): Promise<void> {
  values.sent += 1;
  await service.set({ 'max-bandwidth': values.sent, 'downtime-limit': values.sent });
  values.acknowledged = values.sent;
}

async function changeUntilKilled(service: Spawned, values: { sent: number; acknowledged: number }): Promise<void> {
  try {
    for (;;) await change(service, values);
  } catch {
    // The service has ended, as expected.
    expect(service.process.killed).toBe(true);
  }
}

function moment(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.random() * KILL_MS_MAX);
  onTestFinished(() => clearTimeout(timer));
  return promise;
}

type Kept = { readonly events: number; readonly value: number };

/** Checks the data of a killed service: a valid database, and settings that were changed together. */
function inspect(data: string): Kept {
  const database = new Database(join(data, DATABASE_FILE));
  try {
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
    const ids = database.prepare<[], { id: number }>('SELECT id FROM events ORDER BY id').all();
    const first = ids[0]?.id ?? 1;
    expect(ids.map(({ id }) => id)).toEqual(ids.map((_, index) => first + index));
    const newest = database
      .prepare<[], { json: string }>(
        "SELECT json FROM settings_versions WHERE kind = 'parameters' ORDER BY version DESC",
      )
      .get();
    const json = (newest === undefined ? {} : JSON.parse(newest.json)) as Record<string, number>;
    expect(json['max-bandwidth']).toBe(json['downtime-limit']);
    return { events: ids.at(-1)?.id ?? 0, value: json['max-bandwidth'] ?? 0 };
  } finally {
    database.close();
  }
}

/** After the restart the migration has failed with a reason, no other is open, and the log continues. */
async function expectWhole(service: Spawned, id: string, kept: Kept): Promise<void> {
  const row = await service.row(id);
  expect(row).toMatchObject({ status: 'failed', error: { code: 'service_stopped' } });
  expect(row.error?.desc).toContain('The service stopped during this migration');
  const { migrations } = await service.get<{ migrations: MigrationRow[] }>('/migrations?limit=100');
  const open = migrations.filter(({ status }) => !['failed', 'completed', 'cancelled'].includes(status));
  // Only a new incoming migration may be open.
  expect(open.length).toBeLessThanOrEqual((await service.runState()) === 'inmigrate' ? 1 : 0);
  const parameters = await service.get<Record<string, number>>('/migrate/parameters');
  if (kept.value > 0)
    expect([parameters['max-bandwidth'], parameters['downtime-limit']]).toEqual([kept.value, kept.value]);
  expect((await service.call('/healthz')).status).toBe(200);
}
