// The source reset its connections at a cancel, so the target reported ECONNRESET, and a new request was needed
// before it listened again. A guest could not return to the service that had sent it, because `migrate-incoming` was
// accepted in `inmigrate` only. A listener without a sender could be closed only by the end of the process.

import { describe, expect, test } from 'vitest';
import { combinations, testInSoak } from '../helpers/combinations.ts';
import { localService, type Service } from '../helpers/guest-service.ts';
import { readStreamFixture } from '../helpers/qemu/fixtures.ts';
import { addressToListen, connectTo, SOCKET_TRANSPORTS } from '../helpers/transports.ts';

/** A guest that dirties more than the rate of `sendAndCancel` can send. */
const SAME = ['--ram', '8M', '--workload', 'rate=20M,span=4M,pattern=seq'];
const IDLE = ['--workload', 'rate=0,span=1M,pattern=hot'];

async function stopListening(service: Service): Promise<number> {
  return (await service.call('/migrate/incoming', { method: 'DELETE' })).status;
}

/** Starts a migration that cannot complete, and cancels it once the target has some of it. */
async function sendAndCancel(source: Service, target: Service): Promise<void> {
  await source.set({ 'max-bandwidth': 2_000_000, 'downtime-limit': 0 });
  await source.start(await target.incomingUri());
  await target.untilStatus('active');
  expect(await source.cancel()).toBe('cancelled');
}

async function sendQuickly(source: Service, target: Service): Promise<void> {
  await source.set({ 'max-bandwidth': 0, 'downtime-limit': 100_000 });
  expect(await source.migrate(await target.incomingUri())).toMatchObject({ status: 'completed' });
  await target.untilStatus('completed');
  await target.expectRunning();
}

describe.each(combinations(SOCKET_TRANSPORTS, ['tcp']))('over %s', (transport) => {
  test('a target reports that its sender cancelled, and accepts the next attempt with --keep-listening', async () => {
    const target = await localService([...SAME, '--incoming', addressToListen(transport), '--keep-listening']);
    const uri = await target.incomingUri();
    const source = await localService(SAME);
    await sendAndCancel(source, target);
    const { error } = await target.ended();
    expect(error?.desc).toMatch(/the sender closed the connection: it cancelled/);
    expect(error?.desc).not.toContain('ECONNRESET');
    expect(await target.incomingUri()).toBe(uri);
    // It need not wait until the target has noticed.
    await sendAndCancel(source, target);
    await sendQuickly(source, target);
    await expect(connectTo(uri)).rejects.toThrow(/ECONNREFUSED|ENOENT/);
    expect((await target.get<{ migrations: unknown[] }>('/migrations')).migrations).toHaveLength(3);
  });
});

test.each(combinations(SOCKET_TRANSPORTS, ['unix']))(
  'a second sender over %s waits while the first is served, and is served next',
  async (transport) => {
    const image = ['--machine', 'image', '--keep-listening', '--incoming', addressToListen(transport)];
    const target = await localService(image);
    const { stream } = readStreamFixture('isapc-10.0');
    const first = await connectTo(await target.incomingUri());
    first.write(stream.subarray(0, 5000));
    await target.untilStatus('active');
    const second = await connectTo(await target.incomingUri());
    await new Promise<void>((resolve) => second.write(stream.subarray(0, 10), () => resolve()));
    first.destroy();
    second.end(stream.subarray(10));
    await target.untilStatus('completed');
    expect((await target.get<{ migrations: unknown[] }>('/migrations')).migrations).toHaveLength(2);
  },
);

test('keep-listening in a request is refused together with exit-on-error', async () => {
  const target = await localService([...IDLE, '--incoming', 'defer']);
  const both = { uri: 'tcp:127.0.0.1:0', 'keep-listening': true, 'exit-on-error': true };
  const refused = await target.call('/migrate/incoming', { body: both });
  expect([refused.status, refused.json.code]).toEqual([422, 'incompatible_parameters']);
  expect(await target.query()).toEqual({});
});

testInSoak('keep-listening in a request keeps one listener', async () => {
  const target = await localService([...SAME, '--incoming', 'defer']);
  await target.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0', 'keep-listening': true });
  const source = await localService(SAME);
  await sendAndCancel(source, target);
  await sendQuickly(source, target);
});

test('a request closes a listener that no sender has reached, and its address can be used again', async () => {
  const target = await localService([...SAME, '--incoming', 'tcp:127.0.0.1:0']);
  const uri = await target.incomingUri();
  expect(await stopListening(target)).toBe(204);
  await expect(connectTo(uri)).rejects.toThrow('ECONNREFUSED');
  expect(await target.ended()).toMatchObject({ status: 'cancelled', error: null });
  expect(await target.runState()).toBe('inmigrate');
  expect(await stopListening(target)).toBe(409);

  await target.post('/migrate/incoming', { uri });
  const source = await localService(SAME);
  await source.set({ 'max-bandwidth': 2_000_000, 'downtime-limit': 0 });
  await source.start(uri);
  await target.untilStatus('active');
  expect(await stopListening(target)).toBe(409);
  await source.set({ 'max-bandwidth': 0, 'downtime-limit': 100_000 });
  await source.untilStatus('completed');
  await target.untilStatus('completed');
});

describe('a service whose guest has left', () => {
  test('receives it again by a migration, several times in both directions, and the guest memory is intact', async () => {
    const home = await localService([...SAME]);
    const away = await localService([...SAME, '--incoming', 'tcp:127.0.0.1:0']);
    let { ticks } = await home.guest();
    for (let round = 0; round < 2; round++) {
      const [from, to] = round % 2 === 0 ? [home, away] : [away, home];
      if (round > 0) await to.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0' });
      expect(await to.runState()).toBe('inmigrate');
      await sendQuickly(from, to);
      expect(await from.runState()).toBe('postmigrate');
      const guest = await to.guest();
      expect(guest.ticks).toBeGreaterThan(ticks);
      ticks = guest.ticks;
    }
  });

  test('returns to postmigrate when the listener is closed, and can resume the guest', async () => {
    const home = await localService([...IDLE]);
    const away = await localService([...IDLE, '--incoming', 'tcp:127.0.0.1:0']);
    await sendQuickly(home, away);
    await home.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0' });
    await home.post('/cont');
    expect(await home.runState()).toBe('inmigrate');
    (await connectTo(await home.incomingUri())).end('GET / HTTP/1.1\r\n\r\n');
    await home.untilStatus('failed');
    expect(await home.runState()).toBe('inmigrate');
    expect(await stopListening(home)).toBe(204);
    expect(await home.runState()).toBe('postmigrate');
    await home.post('/cont');
    await home.expectRunning();
    expect((await home.call('/migrate/incoming', { body: { uri: 'tcp:127.0.0.1:0' } })).json.code).toBe(
      'not_expecting_incoming',
    );
  });

  testInSoak('stays in inmigrate after a sender that cancels, since the guest is at the sender', async () => {
    const home = await localService([...SAME]);
    const away = await localService([...SAME, '--incoming', 'tcp:127.0.0.1:0']);
    await sendQuickly(home, away);
    await home.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0' });
    await sendAndCancel(away, home);
    await home.untilStatus('failed');
    expect(await home.runState()).toBe('inmigrate');
    await home.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0' });
    await sendQuickly(away, home);
  });

  testInSoak('receives an image that a QEMU sends', async () => {
    const image = ['--machine', 'image'];
    const home = await localService([...image, '--incoming', 'tcp:127.0.0.1:0']);
    const away = await localService([...image, '--incoming', 'tcp:127.0.0.1:0']);
    (await connectTo(await home.incomingUri())).end(readStreamFixture('isapc-10.0').stream);
    await home.untilStatus('completed');
    expect(await home.migrate(await away.incomingUri())).toMatchObject({ status: 'completed' });
    await away.untilStatus('completed');
    await home.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0' });
    expect(await away.migrate(await home.incomingUri())).toMatchObject({ status: 'completed' });
    await home.untilStatus('completed');
    expect([await home.runState(), await away.runState()]).toEqual(['paused', 'postmigrate']);
  });
});
