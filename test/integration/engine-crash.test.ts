// Transfer workers that die or hang: the migration fails, the service answers, the guest keeps running.

import { expect, test } from 'vitest';
import { createTransferEngine } from '../../src/engine/engine.ts';
import type { TransferEngine } from '../../src/engine/transfer-engine.ts';
import { localService } from '../helpers/guest-service.ts';
import { openPeer } from '../helpers/peer.ts';

/** The time limit for the hanging worker only: a worker that fills its memory also has no heartbeat for a long time before it dies. */
const SHORT_HANG_MS_MAX = 500;

type Fault = { readonly code: string; readonly word: string; readonly hangMsMax?: number };

const onMessage = (code: string): string =>
  `import { parentPort } from 'node:worker_threads'; parentPort.once('message', () => { ${code} });`;

/** The faults of a worker, and the word in the error of each. */
const FAULTS = {
  'dies before it has work': { code: 'throw new Error("dead on arrival")', word: 'dead on arrival' },
  throws: { code: onMessage('throw new Error("a fault made for a test")'), word: 'a fault made for a test' },
  'fills its memory': {
    code: onMessage('for (const kept = [];;) kept.push(new Array(10000).fill(0))'),
    word: 'memory limit',
  },
  loops: {
    code: onMessage('for (;;);'),
    word: `no sign of life for ${SHORT_HANG_MS_MAX} ms`,
    hangMsMax: SHORT_HANG_MS_MAX,
  },
  exits: { code: onMessage('process.exit(3)'), word: 'exited with status 3' },
} as const satisfies Readonly<Record<string, Fault>>;

function engineOf({ code, hangMsMax }: Fault): TransferEngine {
  const workerUrl = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
  return createTransferEngine({ workerUrl, ...(hangMsMax === undefined ? {} : { hangMsMax }) });
}

/** An engine whose next worker has a fault that the test selects. */
class FaultyEngine implements TransferEngine {
  readonly #engines: TransferEngine[] = [];

  choose(fault: Fault): void {
    this.#engines.push(engineOf(fault));
  }

  startOutgoing(...work: Parameters<TransferEngine['startOutgoing']>) {
    return this.#engines.at(-1)!.startOutgoing(...work);
  }

  startIncoming(...work: Parameters<TransferEngine['startIncoming']>) {
    return this.#engines.at(-1)!.startIncoming(...work);
  }

  async close(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.close()));
  }
}

test(`a source worker that ${Object.keys(FAULTS).join(', ')} fails its migration and nothing else`, async () => {
  const engine = new FaultyEngine();
  const service = await localService([], { engine });
  await service.expectRunning();
  const peer = await openPeer();
  for (const [what, fault] of Object.entries(FAULTS)) {
    engine.choose(fault);
    const pending = service.migrate(peer.uri);
    expect((await service.call('/healthz')).status, what).toBe(200);

    const row = await pending;
    expect(row, what).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'engine_crashed' } });
    expect(row.error?.desc).toContain(fault.word);
    expect((await service.query())['error-desc']).toBe(row.error?.desc);
    await service.expectRunning();
  }
  // The next migration of the same engine has its own worker.
  expect(await service.migrate(peer.uri)).toMatchObject({ status: 'failed', error: { code: 'engine_crashed' } });
});

test('a target worker that throws or loops fails the request to listen with the reason', async () => {
  const engine = new FaultyEngine();
  const service = await localService(['--incoming', 'defer'], { engine });
  for (const fault of [FAULTS.throws, FAULTS.loops]) {
    engine.choose(fault);
    const reply = await service.call('/migrate/incoming', { body: { uri: 'tcp:127.0.0.1:0' } });
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(reply.json.detail).toContain(fault.word);
    expect((await service.call('/healthz')).status).toBe(200);
    expect(await service.runState()).toBe('inmigrate');
  }
});

test('a worker that is busy for longer than the limit, but alive, is not terminated', async () => {
  // A new thread has no heartbeat until its code is loaded, which takes some time on a busy machine.
  const hangMsMax = 1000;
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
