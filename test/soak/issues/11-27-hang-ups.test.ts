// Without `return-path` an orderly close was the only answer of the target. Each phase has to distinguish it from a
// broken migration: before the handover the guest stays here after any fault of the link. At the handover a reset or
// a silence leaves its owner unknown, and an orderly close completes without a confirmation.

import { expect, test } from 'vitest';
import { closeInPhases, setCapabilities } from '../../helpers/closing-peer.ts';
import { localService, type MigrationRow } from '../../helpers/guest-service.ts';
import { openPeer } from '../../helpers/peer.ts';
import { SOCKET_TRANSPORTS } from '../../helpers/transports.ts';

// test/soak/migration.test.ts has every closing in every phase.
test('a silence, a reset and a close before the handover leave the guest running here', async () => {
  const closings = [
    { how: 'FIN', phase: 'setup' },
    { how: 'silence', phase: 'first pass' },
    { how: 'RST', phase: 'iteration' },
    { how: 'silence', phase: 'pre-switchover' },
    { how: 'FIN', phase: 'last pass' },
  ] as const;
  await closeInPhases(closings, 'unix', { hasReturnPath: false });
});

test.each(SOCKET_TRANSPORTS)(
  'over %s a silence and a reset after the whole stream leave the owner unknown, and a close is unconfirmed',
  async (transport) => {
    const source = await localService(['--ram', '2M', '--workload', 'rate=0,span=64k,pattern=hot'], {
      deadlines: { connectMs: 5000, stallMs: 700, handoverMs: 700, advanceMs: 60_000 },
    });
    await setCapabilities(source, { 'return-path': false });
    for (const how of ['silence', 'RST', 'FIN'] as const) {
      const peer = await openPeer(
        async (_, self) => {
          await self.hasAll();
          if (how !== 'silence') self.hangUp(how);
        },
        { transport },
      );
      const row = (await source.migrate(peer.uri)) as MigrationRow & { readonly note: string | null };
      // A unix socket has no reset: an end without unread bytes looks like an orderly one.
      const isInOrder = how === 'FIN' || (how === 'RST' && transport === 'unix');
      if (isInOrder) {
        expect(row, how).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
        expect(row.note).toMatch(/not confirmed by the target/i);
        expect(await source.runState()).toBe('postmigrate');
      } else {
        expect(row, how).toMatchObject({
          status: 'failed',
          guest: 'unknown',
          error: { code: 'handover_outcome_unknown' },
        });
        expect(await source.runState()).toBe('paused');
      }
      await source.post('/cont');
      await source.expectRunning();
    }
  },
);
