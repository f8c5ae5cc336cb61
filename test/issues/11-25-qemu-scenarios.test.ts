// Three of QEMU's own migration tests had no counterpart here. One waits for a switchover-ack. Two migrate a
// suspended guest: its run state counts as running. An image keeps the run state of such a stream.
// QEMU scenarios: /migration/precopy/tcp/plain/switchover-ack, /migration/precopy/unix/suspend/live,
// /migration/precopy/unix/suspend/notlive

import { describe, expect, it } from 'vitest';
import { fakeDomain } from '../domain/fakes/fake-domain.ts';
import { imagePlan, read, smallStream } from '../engine/stream/reading.ts';
import { globalState } from '../engine/stream/stream-builder.ts';
import { localService } from '../helpers/guest-service.ts';

const BOUND = { transport: 'tcp', host: '127.0.0.1', port: 4444 } as const;

describe('switchover-ack', () => {
  it('is sent by a target that also has the capability, and the guest moves', async () => {
    const flags = ['--enable', 'return-path', '--enable', 'switchover-ack'];
    const target = await localService([...flags, '--incoming', 'tcp:127.0.0.1:0']);
    const source = await localService(flags);
    expect(await source.migrate(await target.incomingUri())).toMatchObject({ status: 'completed', guest: 'there' });
    await target.expectRunning();
  });
});

describe('a guest that was suspended at its source', () => {
  it.each([
    ['continues to run at a running target', false, 'running'],
    ['stays stopped at a target that was started paused', true, 'paused'],
  ])('arrives and %s', async (_, startPaused, runState) => {
    const world = fakeDomain({ incoming: true, startPaused });
    const record = world.domain.migration.incoming({ uri: 'tcp::0' });
    world.incoming().listen(BOUND);
    const { id } = await record;
    world.incoming().load('suspended');
    expect(await world.domain.migration.ended(id, 1000)).toMatchObject({ status: 'completed', guest: 'here' });
    expect(world.domain.machine.status().status).toBe(runState);
  });

  it.each(['suspended', 'running', 'paused', 'postmigrate'])('is %s in the image of its stream', (state) => {
    const { loaded, error } = read(smallStream({ globalState: globalState(5, state) }), imagePlan());
    expect([error, loaded?.globalState]).toEqual([null, state]);
  });
});
