// The service decides in one place who has the guest and who has its disks: it deactivates the images, activates them
// again and resumes the guest in a fixed order, for each end of a migration. Before, the images were not part of this
// order.

import { describe, expect, test } from 'vitest';
import { type FakeWorld, fakeDomain } from '../domain/fakes/fake-domain.ts';
import { refusalOf } from '../domain/fakes/refusal.ts';

const LOCKED = {
  code: 'image_locked',
  message: "block device node 'disk0': another program writes to this image",
} as const;
const BOUND = { transport: 'tcp', host: '127.0.0.1', port: 4444 } as const;

/** A guest that is stopped for its switchover, with inactive disks. */
async function handingOver(world: FakeWorld): Promise<string> {
  const { id } = world.domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
  const transfer = world.outgoing();
  transfer.step('active');
  await world.machine.hold('migration');
  transfer.listener.guestStopped();
  transfer.step('device');
  await transfer.listener.releaseDisks();
  expect(world.blocks.isActive).toBe(false);
  return id;
}

const failed = { status: 'failed', error: { code: 'target_refused', message: 'no' }, guest: 'here' } as const;

describe('the disks of an outgoing guest', () => {
  test.each(['failed', 'cancelled'] as const)(
    'are active again before the guest resumes, if the migration %s',
    async (status) => {
      const world = fakeDomain();
      const id = await handingOver(world);
      const states: string[] = [];
      world.blocks.onChange(() => states.push(`${world.machine.runs} ${world.domain.machine.status().status}`));
      const cancelled = status === 'cancelled' ? world.domain.migration.cancel() : null;
      world.outgoing().end({ ...failed, status, error: status === 'failed' ? failed.error : null });
      expect(await world.domain.migration.ended(id, 1000)).toMatchObject({ status, guest: 'here' });
      await cancelled;
      expect(states).toEqual(['false finish-migrate']);
      expect([world.blocks.isActive, world.machine.runs]).toEqual([true, true]);
      expect(world.domain.machine.status().status).toBe('running');
    },
  );

  test('that cannot be activated again keep the guest stopped, with the reason, until cont can activate them', async () => {
    const world = fakeDomain();
    const id = await handingOver(world);
    world.blocks.switchFailures.set('activate', LOCKED);
    world.outgoing().end(failed);
    const row = await world.domain.migration.ended(id, 1000);
    expect(row).toMatchObject({ status: 'failed', guest: 'here', errorCode: 'target_refused' });
    expect(row.errorDescription).toMatch(/^no The guest stays stopped here: .*another program writes to this image/);
    expect([world.domain.machine.status().status, [...world.machine.held]]).toEqual(['paused', ['operator']]);

    const refused = await world.domain.machine.cont().catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'image_locked' });
    expect(world.machine.runs).toBe(false);
    world.blocks.switchFailures.clear();
    await world.domain.machine.cont();
    expect([world.blocks.isActive, world.machine.runs]).toEqual([true, true]);
  });

  test.each(['unknown', 'there'] as const)(
    'stay inactive while the guest is %s, until cont activates them',
    async (guest) => {
      const world = fakeDomain();
      const id = await handingOver(world);
      const error = { code: 'handover_outcome_unknown', message: 'who knows' } as const;
      world
        .outgoing()
        .end(guest === 'unknown' ? { status: 'failed', error, guest } : { status: 'completed', error: null, guest });
      await world.domain.migration.ended(id, 1000);
      expect([world.blocks.isActive, world.machine.runs]).toEqual([false, false]);
      await world.domain.machine.cont();
      expect([world.blocks.isActive, world.machine.runs]).toEqual([true, true]);
      expect(world.blocks.log).toEqual(['deactivate', 'activate']);
    },
  );

  test('that cannot be flushed fail the migration in the engine, and are activated again', async () => {
    const world = fakeDomain();
    const { id } = world.domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
    world.outgoing().step('active');
    world.outgoing().listener.guestStopped();
    world.blocks.switchFailures.set('deactivate', { code: 'image_io_error', message: 'flushing failed: EIO' });
    await expect(world.outgoing().listener.releaseDisks()).rejects.toMatchObject({ code: 'image_io_error' });
    world.outgoing().end(failed);
    await world.domain.migration.ended(id, 1000);
    expect(world.blocks.log).toEqual(['deactivate', 'activate']);
    expect(world.domain.machine.status().status).toBe('running');
  });
});

/** A loaded guest, directly before the activation of its disks. */
async function arriving(world: FakeWorld): Promise<string> {
  world.blocks.isActive = false;
  const beginning = world.domain.migration.incoming({ uri: 'tcp:127.0.0.1:0' });
  world.incoming().listen(BOUND);
  const { id } = await beginning;
  world.incoming().activate();
  world.incoming().load();
  return id;
}

describe('the disks of an incoming guest', () => {
  test('that cannot be activated fail the migration: the guest is not adopted, and the target stays in inmigrate', async () => {
    const world = fakeDomain({ incoming: true });
    world.blocks.switchFailures.set('activate', LOCKED);
    const id = await arriving(world);
    expect(await world.domain.migration.ended(id, 1000)).toMatchObject({ status: 'failed', guest: 'there' });
    expect(world.incoming().calls).toEqual(['refused image_locked']);
    expect([world.machine.adopted, world.domain.machine.status().status]).toEqual([null, 'inmigrate']);
  });

  test('are deactivated again before the refusal is sent, if the machine refuses the guest', async () => {
    const world = fakeDomain({ incoming: true });
    world.machine.refusal = new Error('another number of vCPUs');
    const id = await arriving(world);
    await world.domain.migration.ended(id, 1000);
    expect(world.blocks.log).toEqual(['activate', 'deactivate']);
    expect(world.incoming().calls).toEqual(['refused machine_refused']);
    expect(world.blocks.isActive).toBe(false);
  });

  test('are deactivated again if the migration is aborted while they are activated: the guest is not adopted', async () => {
    const world = fakeDomain({ incoming: true });
    const seen: unknown[] = [];
    world.blocks.onChange(() => {
      if (seen.length === 0) world.incoming().abort();
      seen.push(world.blocks.isActive);
    });
    await arriving(world);
    await expect.poll(() => seen).toEqual([true, false]);
    expect(world.machine.adopted).toBeNull();
    expect(world.incoming().calls).toEqual(['abort']);
  });

  test('stay inactive with late-block-activate if the guest stays stopped, and are activated if it runs', async () => {
    for (const startPaused of [true, false]) {
      const world = fakeDomain({ incoming: true, startPaused, capabilities: ['late-block-activate'] });
      const id = await arriving(world);
      expect(await world.domain.migration.ended(id, 1000)).toMatchObject({ status: 'completed' });
      expect(world.blocks.isActive).toBe(!startPaused);
      if (!startPaused) continue;
      const save = () => world.domain.snapshots.checkSave({ tag: 'a', vmState: 'disk0', devices: ['disk0'] });
      expect(refusalOf(save)).toMatchObject({ code: 'node_inactive' });
      await world.domain.machine.cont();
      expect([world.blocks.isActive, world.machine.runs]).toEqual([true, true]);
    }
  });
});
