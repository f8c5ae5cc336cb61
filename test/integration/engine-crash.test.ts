// Transfer workers that die or hang: the migration has failed, the service answers, the guest runs on.

import { expect, test } from 'vitest';
import { createTransferEngine } from '../../src/engine/engine.ts';
import { localService } from '../helpers/guest-service.ts';
import { openPeer } from '../helpers/peer.ts';

/** Of the worker that hangs only: one that fills its memory shows no sign of life for long either, before it dies of it. */
const SHORT_HANG_MS_MAX = 500;

type Fault = { readonly code: string; readonly word: string; readonly hangMsMax?: number };

/** What a worker does with its first message, and what its end is told with. */
const FAULTS: Readonly<Record<'throws' | 'exits' | 'fills its memory' | 'loops', Fault>> = {
  throws: { code: 'throw new Error("a fault made for a test")', word: 'a fault made for a test' },
  exits: { code: 'process.exit(3)', word: 'exited with status 3' },
  'fills its memory': { code: 'for (const kept = [];;) kept.push(new Array(10000).fill(0))', word: 'memory limit' },
  loops: { code: 'for (;;);', word: `no sign of life for ${SHORT_HANG_MS_MAX} ms`, hangMsMax: SHORT_HANG_MS_MAX },
};

function engineOf({ code, hangMsMax }: Fault) {
  const program = `import { parentPort } from 'node:worker_threads'; parentPort.once('message', () => { ${code} });`;
  const workerUrl = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  return createTransferEngine({ workerUrl, ...(hangMsMax === undefined ? {} : { hangMsMax }) });
}

test.each(Object.entries(FAULTS))(
  'a source worker that %s fails the migration and nothing else',
  async (_name, fault) => {
    const service = await localService([], { engine: engineOf(fault) });
    const peer = await openPeer();
    const pending = service.migrate(peer.uri);
    expect((await service.call('/healthz')).status).toBe(200);

    const row = await pending;
    expect(row).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'engine_crashed' } });
    expect(row.error?.desc).toContain(fault.word);
    expect((await service.query())['error-desc']).toBe(row.error?.desc);
    await service.expectRunning();
    // The next one has a worker of its own.
    expect(await service.migrate(peer.uri)).toMatchObject({ status: 'failed', error: { code: 'engine_crashed' } });
  },
);

test.each(['throws', 'loops'] as const)('a target worker that %s is told when it was to listen', async (name) => {
  const fault = FAULTS[name];
  const service = await localService(['--incoming', 'defer'], { engine: engineOf(fault) });
  const reply = await service.call('/migrate/incoming', { body: { uri: 'tcp:127.0.0.1:0' } });
  expect(reply.status).toBeGreaterThanOrEqual(400);
  expect(reply.json.detail).toContain(fault.word);
  expect((await service.call('/healthz')).status).toBe(200);
  expect(await service.runState()).toBe('inmigrate');
});

test('a worker that dies before it has work does not end the service', async () => {
  const workerUrl = new URL('data:text/javascript,throw new Error("dead on arrival")');
  const service = await localService([], { engine: createTransferEngine({ workerUrl }) });
  await service.expectRunning();
  const peer = await openPeer();
  expect(await service.migrate(peer.uri)).toMatchObject({ status: 'failed', error: { code: 'engine_crashed' } });
  await service.expectRunning();
});

test('a worker that is busy for longer than the limit, but lives, is left alone', async () => {
  // A thread that starts shows no sign of life until its code is loaded, which on a busy machine takes a while.
  const hangMsMax = 1500;
  const service = await localService(['--enable', 'pause-before-switchover'], {
    engine: createTransferEngine({ hangMsMax }),
  });
  const peer = await openPeer();
  const id = await service.start(peer.uri);
  await service.untilStatus('pre-switchover');
  const pausedMs = async () => (await service.query())['total-time'];
  await expect.poll(pausedMs, { timeout: 5000, interval: 50 }).toBeGreaterThan(2 * hangMsMax);
  expect((await service.row(id)).status).toBe('pre-switchover');
  expect(await service.cancel()).toBe('cancelled');
});
