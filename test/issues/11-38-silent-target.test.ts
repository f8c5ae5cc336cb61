// A source waits for the answers to its pings before it stops the guest. A migration to a target that answered only
// the first ping and read everything never reached the switchover, because the answers had no deadline.

import { expect, test } from 'vitest';
import type { Deadlines } from '../../src/domain/ports/migration-session.ts';
import { encodeReverse } from '../../src/engine/stream/return-path.ts';
import { localService } from '../helpers/guest-service.ts';
import { openPeer } from '../helpers/peer.ts';

const DEADLINES: Deadlines = { connectMs: 5000, stallMs: 500, handoverMs: 20_000, advanceMs: 60_000 };

test.each(['tcp', 'unix'] as const)(
  'over %s a target that reads everything and answers only the first ping fails at the stall deadline, and the guest keeps running',
  async (transport) => {
    const busy = ['--ram', '16M', '--workload', 'rate=40M,span=8M,pattern=seq'];
    const source = await localService(busy, { deadlines: DEADLINES });
    await source.set({ 'downtime-limit': 0 });
    const peer = await openPeer((socket) => socket.write(encodeReverse({ type: 'pong', value: 1 })), { transport });
    const row = await source.migrate(peer.uri);
    expect(row).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'deadline_exceeded' } });
    expect(row.error?.desc).toContain('answered no ping for 500 ms');
    await source.expectRunning();
  },
);

test('a target that answers no ping completes the migration with its final message', async () => {
  const source = await localService(['--ram', '2M', '--workload', 'rate=0,span=64k,pattern=hot'], {
    deadlines: DEADLINES,
  });
  const peer = await openPeer(async (socket, self) => {
    await self.hasAll();
    socket.end(encodeReverse({ type: 'shut', value: 0 }));
  });
  expect(await source.migrate(peer.uri)).toMatchObject({ status: 'completed', guest: 'there' });
});
