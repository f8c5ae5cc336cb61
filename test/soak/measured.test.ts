// Rates and downtimes against the clock. On a machine that has other work a failure says nothing about the product: these
// tests are for a machine with two idle cores. test/soak/migration.test.ts has what holds under any load.

import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { moveThereAndBack } from '../helpers/busy-legs.ts';
import { spawnService } from '../helpers/guest-service.ts';

const LEGS = 10;
/** The default of `downtime-limit`. */
const DOWNTIME_MS_MAX = 300;

test(`on an idle machine ${LEGS} migrations of a busy guest of 512 MiB stop it for ${DOWNTIME_MS_MAX} ms at most`, async () => {
  const downtimes = await moveThereAndBack(LEGS);
  console.log(`downtimes of ${LEGS} migrations in ms: ${downtimes.join(', ')}`);
  expect(downtimes.at(-1)).toBeLessThanOrEqual(DOWNTIME_MS_MAX);
});

/** Bytes that a peer counted in a span of at least two seconds, divided by it. */
async function measuredRate(received: () => number): Promise<number> {
  const [startMs, startBytes] = [performance.now(), received()];
  await expect.poll(() => performance.now() - startMs, { timeout: 5000, interval: 10 }).toBeGreaterThan(2000);
  return ((received() - startBytes) * 1000) / (performance.now() - startMs);
}

test.each([5_000_000, 24 * 2 ** 20, 100_000_000, 300_000_000])(
  'on an idle machine max-bandwidth %d is held within 1 %',
  async (rate) => {
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
