/** Records query-migrate and query-status in each state in which a plain precopy can be held. */
import { connect } from 'node:net';
import { launchQemu, type Qemu } from '../../test/helpers/qemu/process.ts';
import type { JsonObject } from '../../test/helpers/qemu/qmp.ts';
import { versionOf } from './answer.ts';

type StateFact = {
  readonly case: string;
  readonly side: 'source' | 'target';
  readonly queryMigrate: JsonObject;
  readonly queryStatus: JsonObject;
  /** Name and data of every event of this process so far. */
  readonly events: readonly string[];
};

const SLOW = { 'max-bandwidth': 2_000_000, 'downtime-limit': 1 };
const FAST = { 'max-bandwidth': 0, 'downtime-limit': 300 };
/** A guest that writes to 4 MiB all the time, so that a slow migration of it never ends. */
const BUSY_GUEST = { ringPages: 1024, pagesPerTick: 16 };

export async function askQueryMigrate(binary: string): Promise<object> {
  const facts: StateFact[] = [];
  await completion(binary, facts);
  await preSwitchover(binary, facts);
  await cancellation(binary, facts);
  await refusedConnection(binary, facts);
  await lostTarget(binary, facts);
  await using qemu = await launchQemu({ binary, paused: true, ramMebibytes: 2 });
  const version = await versionOf(qemu);
  if (!version.startsWith('7.')) await garbageReceived(binary, facts);
  return { qemuVersion: version, states: facts };
}

async function factOf(qemu: Qemu, side: StateFact['side'], name: string): Promise<StateFact> {
  return {
    case: name,
    side,
    queryMigrate: withoutPaths(await qemu.qmp.query('query-migrate'), qemu.directory),
    queryStatus: await qemu.qmp.query('query-status'),
    events: qemu.qmp.events.map(({ event, data }) =>
      Object.keys(data).length === 0 ? event : `${event} ${JSON.stringify(data)}`,
    ),
  };
}

function withoutPaths(value: JsonObject, directory: string): JsonObject {
  return JSON.parse(JSON.stringify(value).replaceAll(directory, '/tmp/vmferry-qemu')) as JsonObject;
}

async function completion(binary: string, facts: StateFact[]): Promise<void> {
  const shared = { binary, guest: BUSY_GUEST, capabilities: ['return-path', 'xbzrle', 'auto-converge'] };
  await using source = await launchQemu({ ...shared, parameters: SLOW });
  await using target = await launchQemu({ ...shared, incoming: 'defer' });
  const uri = `unix:${target.path('migration.sock')}`;
  await source.waitForTicks(80);
  facts.push(await factOf(source, 'source', 'before any migration'));
  facts.push(await factOf(target, 'target', 'before migrate-incoming'));
  await target.qmp.execute('migrate-incoming', { uri });
  facts.push(await factOf(target, 'target', 'listening'));
  await source.qmp.execute('migrate', { uri });
  await source.qmp.waitForEvent('MIGRATION', { matches: (data) => data.status === 'active' });
  facts.push(await factOf(source, 'source', 'active, before the first window ended'));
  await source.qmp.waitForEvent('MIGRATION_PASS', { matches: (data) => data.pass === 3, timeoutMs: 60_000 });
  facts.push(await factOf(source, 'source', 'active, third pass'));
  facts.push(await factOf(target, 'target', 'active'));
  await source.qmp.execute('migrate-set-parameters', FAST);
  await source.waitForMigrationEnd();
  facts.push(await factOf(source, 'source', 'completed'));
  await target.qmp.waitForEvent('MIGRATION', { matches: (data) => data.status === 'completed' });
  facts.push(await factOf(target, 'target', 'completed'));
  await source.qmp.execute('cont');
  facts.push(await factOf(source, 'source', 'completed, guest continued'));
}

async function preSwitchover(binary: string, facts: StateFact[]): Promise<void> {
  await using source = await launchQemu({ binary, guest: BUSY_GUEST, capabilities: ['pause-before-switchover'] });
  await using target = await launchQemu({ binary, guest: BUSY_GUEST, incoming: 'defer', paused: true });
  const uri = `unix:${target.path('migration.sock')}`;
  await source.waitForTicks(80);
  await target.qmp.execute('migrate-incoming', { uri });
  await source.qmp.execute('migrate', { uri });
  await source.qmp.waitForEvent('MIGRATION', { matches: (data) => data.status === 'pre-switchover' });
  facts.push(await factOf(source, 'source', 'pre-switchover'));
  facts.push(await factOf(target, 'target', 'active while the source waits'));
  await source.qmp.execute('migrate-continue', { state: 'pre-switchover' });
  await source.waitForMigrationEnd();
  await target.qmp.waitForEvent('MIGRATION', { matches: (data) => data.status === 'completed' });
  facts.push(await factOf(source, 'source', 'completed after pre-switchover'));
  facts.push(await factOf(target, 'target', 'completed, started with -S'));
}

async function cancellation(binary: string, facts: StateFact[]): Promise<void> {
  await using source = await launchQemu({ binary, guest: BUSY_GUEST, parameters: SLOW });
  await using target = await launchQemu({ binary, guest: BUSY_GUEST, incoming: 'defer' });
  const uri = `unix:${target.path('migration.sock')}`;
  await source.waitForTicks(80);
  await receiveWithoutExit(binary, target, uri);
  await source.qmp.execute('migrate', { uri });
  await source.qmp.waitForEvent('MIGRATION_PASS', { matches: (data) => data.pass === 2, timeoutMs: 60_000 });
  await source.qmp.execute('migrate_cancel');
  await source.waitForMigrationEnd();
  facts.push(await factOf(source, 'source', 'cancelled'));
  if (!isOld(binary)) {
    await target.waitForMigrationEnd();
    facts.push(await factOf(target, 'target', 'failed, source cancelled'));
  }
}

async function refusedConnection(binary: string, facts: StateFact[]): Promise<void> {
  await using source = await launchQemu({ binary, paused: true });
  await source.qmp.execute('migrate', { uri: `unix:${source.path('nobody.sock')}` }).catch(() => undefined);
  await source.waitForMigrationEnd();
  facts.push(await factOf(source, 'source', 'failed, connection refused'));
}

async function lostTarget(binary: string, facts: StateFact[]): Promise<void> {
  await using source = await launchQemu({ binary, guest: BUSY_GUEST, parameters: SLOW });
  await using target = await launchQemu({ binary, guest: BUSY_GUEST, incoming: 'defer' });
  const uri = `unix:${target.path('migration.sock')}`;
  await source.waitForTicks(80);
  await target.qmp.execute('migrate-incoming', { uri });
  await source.qmp.execute('migrate', { uri });
  await source.qmp.waitForEvent('MIGRATION_PASS', { matches: (data) => data.pass === 2, timeoutMs: 60_000 });
  await target.stop();
  await source.waitForMigrationEnd();
  facts.push(await factOf(source, 'source', 'failed, target killed'));
}

async function garbageReceived(binary: string, facts: StateFact[]): Promise<void> {
  const garbage = { 'no magic': Buffer.alloc(64), 'end after the header': Buffer.from('5145564d00000003', 'hex') };
  for (const [name, bytes] of Object.entries(garbage)) {
    await using target = await launchQemu({ binary, ramMebibytes: 2, incoming: 'defer' });
    const path = target.path('migration.sock');
    await receiveWithoutExit(binary, target, `unix:${path}`);
    const socket = connect(path);
    socket.on('error', () => undefined);
    socket.end(bytes);
    await target.waitForMigrationEnd();
    facts.push(await factOf(target, 'target', `failed, ${name}`));
    socket.destroy();
    // Shows whether the same process accepts another stream.
    const again = await target.qmp.executeText('migrate-incoming', JSON.stringify({ uri: `unix:${path}` }));
    const error = again.kind === 'error' ? { class: again.class, desc: again.description } : {};
    facts.push(await factOf(target, 'target', `after migrate-incoming again: ${JSON.stringify(error)}`));
  }
}

async function receiveWithoutExit(binary: string, target: Qemu, uri: string): Promise<void> {
  await target.qmp.execute('migrate-incoming', isOld(binary) ? { uri } : { uri, 'exit-on-error': false });
}

function isOld(binary: string): boolean {
  return binary.includes('7.2');
}
