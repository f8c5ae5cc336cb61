// QEMU scenarios, with a fake engine: /migration/cancel/src/after/cancelling, /migration/cancel/src/after/cancelled

import { describe, expect, it } from 'vitest';
import { ENDS, openRaces, type Play, STAGES } from '../../helpers/cancel-orders.ts';
import { type FakeWorld, fakeDomain } from '../fakes/fake-domain.ts';
import { settled } from '../jobs/world.ts';

const URI = 'tcp:127.0.0.1:4444';

function startedIn(world: FakeWorld, stage: (typeof STAGES)[number]): string {
  const { id } = world.domain.migration.start({ uri: URI });
  const transfer = world.outgoing();
  if (stage !== 'setup') transfer.step('active');
  if (stage === 'pre-switchover' || stage === 'device') transfer.listener.guestStopped();
  if (stage === 'pre-switchover') transfer.step('pre-switchover');
  if (stage === 'device') transfer.step('device');
  return id;
}

describe('a cancel', () => {
  it('has no effect before the first migration, and on a target', async () => {
    const { domain } = fakeDomain();
    await expect(domain.migration.cancel()).resolves.toBe('nothing-to-cancel');
    const target = fakeDomain({ incoming: true });
    const listening = target.domain.migration.incoming({ uri: 'tcp::0' });
    target.incoming().listen();
    await listening;
    await expect(target.domain.migration.cancel()).resolves.toBe('nothing-to-cancel');
    expect(target.domain.migration.query().status).toBe('setup');
  });

  it.each(STAGES)('in %s ends cancelled, the guest keeps running, and a second cancel has no effect', async (stage) => {
    const world = fakeDomain();
    const id = startedIn(world, stage);
    const cancels = [world.domain.migration.cancel(), world.domain.migration.cancel()];
    expect(world.domain.migration.query().status).toBe('cancelling');
    world.outgoing().letGo();
    expect(await Promise.all(cancels)).toEqual(['cancelled', 'cancelled']);
    await expect(world.domain.migration.cancel()).resolves.toBe('cancelled');
    expect(world.domain.history.get(id).record).toMatchObject({ status: 'cancelled', guest: 'here' });
    expect(world.domain.machine.status()).toEqual({ running: true, status: 'running' });
    expect(world.events().filter((event) => event.startsWith('MIGRATION cancel'))).toEqual([
      'MIGRATION cancelling',
      'MIGRATION cancelled',
    ]);
  });

  it('after the target may have the guest is refused as too late', async () => {
    const world = fakeDomain();
    startedIn(world, 'device');
    world.outgoing().status.handOver();
    await expect(world.domain.migration.cancel()).resolves.toBe('not-cancellable');
    world.outgoing().finish('completed');
    await world.domain.migration.ended('id-1', 1000);
    await expect(world.domain.migration.cancel()).resolves.toBe('already-completed');
  });

  it('ignores messages that the worker sent before it received the cancel', async () => {
    const world = fakeDomain();
    startedIn(world, 'setup');
    const transfer = world.outgoing();
    transfer.status.transition('setup', 'active');
    const cancel = world.domain.migration.cancel();
    transfer.listener.status('active');
    transfer.listener.pass(1);
    transfer.letGo();
    await cancel;
    expect(world.events()).toEqual(['MIGRATION setup', 'MIGRATION cancelling', 'MIGRATION cancelled']);
  });

  it('that races with another cancel and with the end, in every order, leads to one end, which every caller gets', async () => {
    const races = openRaces();
    for (const stage of STAGES) {
      for (const wanted of ENDS) {
        const steps = races.stepsOf(stage, wanted);
        for (let first = 0; first <= steps; first += 1) {
          for (let second = first; second <= steps; second += 1) {
            // The pending promise reactions have run between two steps, or not.
            for (const settles of [true, false]) {
              await races.run(stage, wanted, inOrder([first, second], settles));
            }
          }
        }
      }
    }
    // The orders must lead to every kind of end.
    expect([...races.ends].sort()).toEqual(['cancelled', 'completed', 'failed']);
  });
});

/** The steps of the worker, with a cancel before each step with these indexes. */
function inOrder(cancels: readonly number[], settles: boolean): Play {
  return async (steps, cancel) => {
    const pause = () => (settles ? settled() : undefined);
    for (let index = 0; index <= steps.length; index += 1) {
      for (const at of cancels) {
        if (at !== index) continue;
        cancel();
        await pause();
      }
      steps[index]?.work();
      await pause();
    }
  };
}
