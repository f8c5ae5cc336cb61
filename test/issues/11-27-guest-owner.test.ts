// A source without a return path treated an orderly close as the confirmation of the target. A middlebox that closes
// early and the kernel of a killed target also close in order: the source reported `completed` with guest `there`,
// and the guest was lost. Now a socket always has a return path, on which the target confirms that it loaded the
// guest, unless the capability was switched off. A completion without this confirmation is marked as unconfirmed
// everywhere.

import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeReverse } from '../../src/engine/stream/return-path.ts';
import { fakeDomain } from '../domain/fakes/fake-domain.ts';
import { setCapabilities } from '../helpers/closing-peer.ts';
import { combinations } from '../helpers/combinations.ts';
import { localService, type MigrationRow, type Service } from '../helpers/guest-service.ts';
import { openMemoryStore } from '../helpers/memory-store.ts';
import { openPeer } from '../helpers/peer.ts';
import { shared } from '../helpers/shared.ts';
import { SOCKET_TRANSPORTS } from '../helpers/transports.ts';

const WORDS = /not confirmed by the target/i;
type Noted = MigrationRow & { readonly note: string | null };

const source = shared(() => localService(['--allow-exec', '--ram', '2M', '--workload', 'rate=0,span=64k,pattern=hot']));

/** The guest is taken back for the next migration. */
async function takeBack(service: Service): Promise<void> {
  await service.post('/cont');
  await service.expectRunning();
}

function closingPeer(transport: 'tcp' | 'unix', how: 'FIN' | 'RST', lastWords: Uint8Array | null) {
  return openPeer(
    async (socket, peer) => {
      await peer.hasAll();
      if (lastWords !== null) await new Promise<void>((resolve) => socket.write(lastWords, () => resolve()));
      peer.hangUp(how);
    },
    { transport },
  );
}

describe.each(combinations(SOCKET_TRANSPORTS, ['tcp']))('over %s, with default settings', (transport) => {
  const pong = encodeReverse({ type: 'pong', value: 1 });
  test.each([
    { what: 'without a word', lastWords: null },
    { what: 'after it answered the ping only', lastWords: pong },
    { what: 'in the middle of its word', lastWords: encodeReverse({ type: 'shut', value: 0 }).subarray(0, 7) },
  ])('a peer that reads all and closes in order $what leaves the owner unknown', async ({ lastWords }) => {
    const peer = await closingPeer(transport, 'FIN', lastWords);
    const row = await source().migrate(peer.uri);
    expect(row).toMatchObject({ status: 'failed', guest: 'unknown', error: { code: 'handover_outcome_unknown' } });
    expect(await source().runState()).toBe('paused');
    await takeBack(source());
  });

  test('the confirmation of the target completes the migration and confirms the owner', async () => {
    const peer = await closingPeer(transport, 'FIN', encodeReverse({ type: 'shut', value: 0 }));
    const row = (await source().migrate(peer.uri)) as Noted;
    expect(row).toMatchObject({ status: 'completed', guest: 'there', note: null });
    await takeBack(source());
  });

  test('without return-path an orderly close completes the migration, and the answer and the history say unconfirmed', async () => {
    await setCapabilities(source(), { 'return-path': false });
    const peer = await closingPeer(transport, 'FIN', null);
    const row = (await source().migrate(peer.uri)) as Noted;
    expect(row).toMatchObject({ status: 'completed', guest: 'there, unconfirmed', error: null });
    expect(row.note).toMatch(WORDS);
    expect(await source().row(row.id)).toMatchObject({ guest: row.guest, note: row.note });
    await takeBack(source());

    // Switched on and off again it is switched off.
    await setCapabilities(source(), { 'return-path': true });
    const silent = await closingPeer(transport, 'FIN', null);
    expect(await source().migrate(silent.uri)).toMatchObject({ status: 'failed', guest: 'unknown' });
    await takeBack(source());
  });
});

test('a command that exits with 0 confirms nothing, and a completely written file needs no confirmation', async () => {
  const piped = (await source().migrate('exec:cat > /dev/null')) as Noted;
  expect(piped).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
  expect(piped.note).toMatch(WORDS);
  await takeBack(source());
  const written = (await source().migrate('file:guest')) as Noted;
  expect(written).toMatchObject({ status: 'completed', guest: 'there', note: null });
  await takeBack(source());
});

test('an unconfirmed completion is logged', async () => {
  const { domain, outgoing, notes } = fakeDomain();
  const { id } = domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
  outgoing().end({ status: 'completed', error: null, guest: 'there, unconfirmed' });
  expect(await domain.migration.ended(id, 1000)).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
  expect(notes.filter(({ message }) => WORDS.test(message) && message.includes(id))).toHaveLength(1);
  expect(domain.machine.status()).toEqual({ running: false, status: 'postmigrate' });
});

describe('the capability return-path', () => {
  const state = (domain: ReturnType<typeof fakeDomain>['domain']) =>
    domain.settings.capabilities().find(({ capability }) => capability === 'return-path')?.state;

  test('is shown as it was set, but the unset default opens the return path; off is kept over a restart', () => {
    const store = openMemoryStore();
    const opensAfter = (change: boolean | null) => {
      const { domain, outgoing } = fakeDomain({ store, ids: randomUUID });
      if (change !== null) domain.settings.setCapabilities([{ capability: 'return-path', state: change }]);
      domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
      return [state(domain), outgoing().plan.opensReturnPath];
    };
    expect(opensAfter(null)).toEqual([false, true]);
    expect(opensAfter(false)).toEqual([false, false]);
    expect(opensAfter(null)).toEqual([false, false]);
    expect(opensAfter(true)).toEqual([true, true]);
    expect(opensAfter(null)).toEqual([true, true]);
    store.close();
  });

  test('is obeyed if it is on for one start after it was switched off before', () => {
    const store = openMemoryStore();
    fakeDomain({ store }).domain.settings.setCapabilities([{ capability: 'return-path', state: false }]);
    const overrides = { parameters: {}, capabilities: ['return-path'] };
    const { domain, outgoing } = fakeDomain({ store, overrides });
    domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
    expect(outgoing().plan.opensReturnPath).toBe(true);
    store.close();
  });

  test('is not switched off by a request that is refused', () => {
    const { domain, outgoing } = fakeDomain();
    const change = [
      { capability: 'return-path', state: false },
      { capability: 'multifd', state: true },
    ] as const;
    expect(() => domain.settings.setCapabilities(change)).toThrow('not available');
    domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
    expect(outgoing().plan.opensReturnPath).toBe(true);
  });
});
