// Rates and downtimes against the clock. These tests need a machine with two idle cores: on a busy machine a failure
// says nothing about the product. test/soak/migration.test.ts has the tests for any load.

import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { moveThereAndBack } from '../helpers/busy-legs.ts';
import { spawnService } from '../helpers/guest-service.ts';

const LEGS = 10;
/** The default of `downtime-limit`. */
const DOWNTIME_MS_MAX = 300;

test(`${LEGS} migrations of a busy guest of 512 MiB on an idle machine have downtimes of at most ${DOWNTIME_MS_MAX} ms`, async () => {
  const downtimes = await moveThereAndBack(LEGS);
  console.log(`downtimes of ${LEGS} migrations in ms: ${downtimes.join(', ')}`);
  expect(downtimes.at(-1)).toBeLessThanOrEqual(DOWNTIME_MS_MAX);
});

/** Bytes that a peer counted within `windowMs` or little more, divided by that time. */
async function measuredRate(received: () => number, windowMs: number): Promise<number> {
  const [startMs, startBytes] = [performance.now(), received()];
  await expect.poll(() => performance.now() - startMs, { timeout: 10_000, interval: 10 }).toBeGreaterThan(windowMs);
  return ((received() - startBytes) * 1000) / (performance.now() - startMs);
}

test.each([5_000_000, 24 * 2 ** 20, 100_000_000, 300_000_000])(
  'the send rate on an idle machine is within 1 % of max-bandwidth %d',
  async (rate) => {
    const service = await spawnService(temporaryDirectory(), [
      '--ram',
      '512M',
      '--workload',
      'rate=800M,span=480M,pattern=seq,fill=random',
    ]);
    const counter = await countingPeer();
    await service.set({ 'max-bandwidth': rate });
    // The peer answers no pings: with a return path the source would wait for them before each decision to stop the guest.
    const off = { capabilities: [{ capability: 'return-path', state: false }] };
    expect((await service.call('/migrate/capabilities', { method: 'PATCH', body: off })).status).toBe(200);
    await service.start(counter.uri);
    await expect.poll(counter.received, { timeout: 5000 }).toBeGreaterThan(rate / 2);
    // Long enough that a full socket buffer of about 6 MB is far below 1 %.
    const measured = await measuredRate(counter.received, 5000);
    console.log(`max-bandwidth ${rate}: ${measured.toFixed(0)} bytes/s, ${((measured / rate - 1) * 100).toFixed(2)} %`);
    expect(Math.abs(measured / rate - 1)).toBeLessThan(0.01);
    // A change takes effect at once: the next two seconds have the new rate.
    await service.set({ 'max-bandwidth': rate / 2 });
    const changed = await measuredRate(counter.received, 2000);
    expect(Math.abs(changed / (rate / 2) - 1)).toBeLessThan(0.03);
    expect(await service.cancel()).toBe('cancelled');
  },
);

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
