// The same questions as in test/integration, for longer and at full size.

import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { runRaces } from '../helpers/cancel-race.ts';
import { closeInPhases, closingsWith } from '../helpers/closing-peer.ts';
import { crashIncoming, crashOutgoing } from '../helpers/crash-loop.ts';
import { localService, type Spawned, spawnService } from '../helpers/guest-service.ts';
import { closedPort, openPeer } from '../helpers/peer.ts';
import { SOCKET_TRANSPORTS } from '../helpers/transports.ts';

const GUEST = ['--ram', '512M', '--workload', 'rate=100M,span=128M,pattern=hot'] as const;
const SETTINGS = ['--set', 'max-bandwidth=1000000000', '--enable', 'events'] as const;
const INCOMING = ['--incoming', 'tcp:127.0.0.1:0'] as const;
const LEGS = 50;

/** As with QEMU, a process takes one guest in its life: the service that is to receive next is started anew. */
test(`${LEGS} migrations of a busy guest of 512 MiB, there and back, keep every tick and every page`, async () => {
  const data = [temporaryDirectory(), temporaryDirectory()] as const;
  let source = await spawnService(data[0], [...GUEST, ...SETTINGS]);
  const downtimes: number[] = [];
  let ticks: readonly number[] = [];
  for (let leg = 1; leg <= LEGS; leg += 1) {
    const target = await spawnService(data[leg % 2]!, [...GUEST, ...SETTINGS, ...INCOMING]);
    downtimes.push(await move(source, target, ticks));
    expect(await source.end('SIGTERM')).toBe(0);
    source = target;
    ticks = await source.consoleTicks();
  }
  await source.expectRunning();
  downtimes.sort((a, b) => a - b);
  console.log(`downtime of ${LEGS} migrations: median ${downtimes[LEGS / 2]} ms, most ${downtimes.at(-1)} ms`);
});

/** @returns the downtime in milliseconds. */
async function move(source: Spawned, target: Spawned, ticksBefore: readonly number[]): Promise<number> {
  await source.expectRunning();
  const checked = (await source.guest())['pages-checked'];
  await expect.poll(async () => (await source.guest())['pages-checked']).toBeGreaterThan(checked);
  const row = await source.migrate(await target.incomingUri());
  expect(row, JSON.stringify(row)).toMatchObject({ status: 'completed', error: null, guest: 'there' });
  await target.untilStatus('completed');
  expect([await source.runState(), await target.runState()]).toEqual(['postmigrate', 'running']);
  const downtime = (await source.query()).downtime!;
  expect(downtime).toBeLessThanOrEqual(300);
  await target.expectRunning();
  const [there, here] = [await source.consoleTicks(), await target.consoleTicks()];
  // The console keeps the newest 4 KiB, so its first line may be half of one.
  expect(here).toEqual(here.map((_, index) => here[0]! + index));
  // The source's stands still and the target's goes on: between them no tick is missing.
  expect(here[0]).toBeLessThanOrEqual(there.at(-1)! + 1);
  expect(here.at(-1)).toBeGreaterThan(ticksBefore.at(-1) ?? 0);
  return downtime;
}

test('300 cancels that race with the completion of real migrations have exactly one end each', async () => {
  const races = await runRaces(300);
  console.log(`cancelled ${races.cancelled}, completed ${races.completed}`);
  expect(Math.min(races.cancelled, races.completed)).toBeGreaterThan(30);
});

describe.each([true, false])('with return-path %s', (hasReturnPath) => {
  test.each(
    (['FIN', 'RST', 'silence'] as const).flatMap((how) =>
      SOCKET_TRANSPORTS.map((transport) => [how, transport] as const),
    ),
  )(
    'a %s of the peer over %s in any phase before the handover leaves the guest running here',
    async (how, transport) => {
      await closeInPhases(closingsWith(how), transport, { hasReturnPath });
    },
  );
});

test('kill -9 at 60 random moments of sending and 40 of receiving leaves nothing half done', async () => {
  await crashOutgoing(60);
  await crashIncoming(40);
});

/** Bytes that a peer counted in a span of at least two seconds, divided by it. */
async function measuredRate(received: () => number): Promise<number> {
  const [startMs, startBytes] = [performance.now(), received()];
  await expect.poll(() => performance.now() - startMs, { timeout: 5000, interval: 10 }).toBeGreaterThan(2000);
  return ((received() - startBytes) * 1000) / (performance.now() - startMs);
}

test.each([5_000_000, 24 * 2 ** 20, 100_000_000, 300_000_000])('max-bandwidth %d is held within 1 %', async (rate) => {
  const service = await spawnService(temporaryDirectory(), [
    '--ram',
    '512M',
    '--workload',
    'rate=800M,span=480M,pattern=seq,fill=random',
  ]);
  const counter = await countingPeer();
  await service.set({ 'max-bandwidth': rate });
  await service.start(counter.uri);
  await expect.poll(counter.received, { timeout: 5000 }).toBeGreaterThan(rate / 2);
  const measured = await measuredRate(counter.received);
  console.log(`max-bandwidth ${rate}: ${measured.toFixed(0)} bytes/s, ${((measured / rate - 1) * 100).toFixed(2)} %`);
  expect(Math.abs(measured / rate - 1)).toBeLessThan(0.01);
  // A change counts at once: the next two seconds already have the new rate.
  await service.set({ 'max-bandwidth': rate / 2 });
  const changed = await measuredRate(counter.received);
  expect(Math.abs(changed / (rate / 2) - 1)).toBeLessThan(0.03);
  expect(await service.cancel()).toBe('cancelled');
});

async function countingPeer(): Promise<{ uri: string; received: () => number }> {
  let bytes = 0;
  const server = createServer({ highWaterMark: 2 ** 20 }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { uri: `tcp:127.0.0.1:${(server.address() as AddressInfo).port}`, received: () => bytes };
}

test('memory does not grow over hundreds of failing migrations', async () => {
  const service = await localService([], { deadlines: { connectMs: 500, stallMs: 200, handoverMs: 200 } });
  const rude = await openPeer((socket) => socket.resetAndDestroy());
  const refused = `tcp:127.0.0.1:${await closedPort()}`;
  const fail = async (count: number) => {
    for (let round = 0; round < count; round += 1) {
      expect((await service.migrate(round % 2 === 0 ? rude.uri : refused)).status).toBe('failed');
    }
  };
  await fail(100);
  const before = process.memoryUsage().rss;
  await fail(400);
  const grown = process.memoryUsage().rss - before;
  console.log(`400 failing migrations: ${(grown / 2 ** 20).toFixed(1)} MiB more`);
  expect(grown).toBeLessThan(40 * 2 ** 20);
  await service.expectRunning();
});
