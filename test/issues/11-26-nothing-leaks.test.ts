// Each of these faults after the start of a migration left something behind:
// - the row of an incoming migration could not be inserted: its worker and its port stayed, and no other migration
//   could listen there;
// - the run state could not be changed at the arrival of the guest: the guest was here, and the sender was never
//   informed;
// - the guest could not be held when its owner was unknown: the migration never ended for its waiting clients;
// - a message of a worker could not be read: the owner of the guest was decided while the thread could still send.

import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it, vi } from 'vitest';
import type { TransferListener } from '../../src/domain/ports/migration-session.ts';
import { createTransferEngine } from '../../src/engine/engine.ts';
import { fakeDomain } from '../domain/fakes/fake-domain.ts';
import { imagePlan } from '../engine/stream/reading.ts';

const BOUND = { transport: 'tcp', host: '0.0.0.0', port: 4444 } as const;

describe('an incoming migration whose row cannot be stored', () => {
  it('is refused after its worker and its port are gone, and the next one can listen', async () => {
    const world = fakeDomain({ incoming: true });
    const insert = vi.spyOn(world.store.migrations, 'insert').mockImplementationOnce(() => {
      throw new Error('the disk is full');
    });
    const refused = world.domain.migration.incoming({ uri: 'tcp::0' });
    world.incoming().listen(BOUND);

    await expect(refused).rejects.toThrow('the disk is full');
    expect(world.incoming().calls).toEqual(['abort']);
    expect(world.domain.machine.status().status).toBe('inmigrate');
    insert.mockRestore();
    const next = world.domain.migration.incoming({ uri: 'tcp::0' });
    world.incoming().listen(BOUND);
    expect(await next).toMatchObject({ status: 'setup' });
  });
});

describe('a guest that has arrived', () => {
  it.each([
    ['cannot be released', 'release'],
    ['cannot be held', 'hold'],
  ] as const)('stays here, stopped, and its sender is informed, if it %s', async (_, method) => {
    const world = fakeDomain({ incoming: true, startPaused: method === 'hold' });
    const { id } = await listening(world);
    vi.spyOn(world.machine, method).mockImplementationOnce(() => {
      throw new Error('a fault made for a test');
    });
    world.incoming().load();

    expect(await world.domain.migration.ended(id, 1000)).toMatchObject({ status: 'completed', guest: 'here' });
    expect(world.incoming().calls).toEqual(['started']);
    expect(world.domain.machine.status().status).toBe('paused');
    expect(world.machine.runs).toBe(false);
    await world.domain.machine.cont();
    expect(world.machine.runs).toBe(true);
  });
});

describe('a migration with an unknown owner of the guest', () => {
  it('ends for all who wait for it if the guest cannot be held, and the guest stays stopped', async () => {
    const world = fakeDomain();
    const { id } = world.domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
    const outgoing = world.outgoing();
    await world.machine.hold('migration');
    outgoing.step('active');
    outgoing.listener.guestStopped();
    outgoing.step('device');
    vi.spyOn(world.machine, 'hold').mockRejectedValueOnce(new Error('the disk does not come to rest'));
    outgoing.status.transition('device', 'failed');
    outgoing.end({ status: 'failed', error: { code: 'peer_reset', message: 'gone' }, guest: 'unknown' });

    expect(await world.domain.migration.ended(id, 1000)).toMatchObject({ status: 'failed', guest: 'unknown' });
    expect(world.domain.machine.status().status).toBe('paused');
    expect(world.machine.runs).toBe(false);
    await world.domain.machine.cont();
    expect(world.machine.runs).toBe(true);
  });
});

async function listening(world: ReturnType<typeof fakeDomain>) {
  const record = world.domain.migration.incoming({ uri: 'tcp::0' });
  world.incoming().listen(BOUND);
  return record;
}

const QUIET: TransferListener = {
  status: () => {},
  shared: () => {},
  rejected: () => {},
  released: () => {},
  releaseDisks: async () => {},
  pass: () => {},
  passEnded: () => {},
  limitVcpus: () => {},
  guestStopped: () => {},
  guestResumed: () => {},
};

/** A worker whose first message cannot be read here, and that continues to work. */
const UNREADABLE = `import { parentPort } from 'node:worker_threads';
setInterval(() => {}, 1000);
parentPort.once('message', () => parentPort.postMessage({ type: 'pass', pass: 1 }));`;

describe('a worker that sends an unreadable message', () => {
  it('has ended before the owner of the guest is decided', async () => {
    const engine = createTransferEngine({
      workerUrl: new URL(`data:text/javascript,${encodeURIComponent(UNREADABLE)}`),
    });
    const created = once(process, 'worker') as Promise<[Worker]>;
    const transfer = engine.startIncoming(imagePlan(), QUIET);
    const [worker] = await created;
    const order: string[] = [];
    worker.once('exit', () => order.push('the thread has ended'));
    const ended = transfer.ended.then((end) => {
      order.push('the end is told');
      return end;
    });
    worker.emit('messageerror', new Error('a value that cannot be read'));

    expect(await ended).toMatchObject({ status: 'failed', error: { code: 'engine_crashed' } });
    expect((await ended).error?.message).toContain('a value that cannot be read');
    expect(order).toEqual(['the thread has ended', 'the end is told']);
    await engine.close();
  });
});
