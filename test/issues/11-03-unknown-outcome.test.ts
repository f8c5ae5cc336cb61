/*
 * Messages about a guest whose owner is not known, or not confirmed, said what had happened and not what to do: that the
 * capability return-path, which was off, would have told; and that a guest that is let go on (cont) while it runs at the
 * other side runs twice, which destroys its disks.
 */
import { expect, test } from 'vitest';
import { fakeDomain } from '../domain/fakes/fake-domain.ts';
import { setCapabilities } from '../helpers/closing-peer.ts';
import { localService, type MigrationRow, type Service } from '../helpers/guest-service.ts';
import { openPeer } from '../helpers/peer.ts';

const RECOMMENDED = /With the capability return-path on, over a socket, the target would have said so/;
const WARNED = /a guest that runs twice destroys its disks/;

type Noted = MigrationRow & { readonly note: string | null };

/** Migrates to a peer that takes everything and hangs up. */
async function migrated(how: 'FIN' | 'RST', hasReturnPath: boolean): Promise<{ source: Service; row: Noted }> {
  const source = await localService(['--ram', '2M', '--workload', 'rate=0,span=64k,pattern=hot']);
  await setCapabilities(source, { 'return-path': hasReturnPath });
  const peer = await openPeer(async (_socket, self) => {
    await self.hasAll();
    self.hangUp(how);
  });
  return { source, row: (await source.migrate(peer.uri)) as Noted };
}

test('without a return path an unknown outcome recommends it, and the advice to use cont warns of running the guest twice', async () => {
  const { row } = await migrated('RST', false);
  expect(row).toMatchObject({ guest: 'unknown', error: { code: 'handover_outcome_unknown' } });
  expect(row.error?.desc).toMatch(RECOMMENDED);
  expect(row.error?.desc).toMatch(WARNED);
});

test('with a return path an unknown outcome does not recommend it, and warns all the same', async () => {
  const { row } = await migrated('FIN', true);
  expect(row).toMatchObject({ guest: 'unknown', error: { code: 'handover_outcome_unknown' } });
  expect(row.error?.desc).not.toContain('return-path');
  expect(row.error?.desc).toMatch(WARNED);
});

test('an unconfirmed completion recommends a return path, and whoever asks to migrate again is warned of cont', async () => {
  const { source, row } = await migrated('FIN', false);
  expect(row).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
  expect(row.note).toMatch(RECOMMENDED);
  const refused = await source.call('/migrate', { body: { uri: 'file:guest' } });
  expect(refused.json).toMatchObject({ code: 'machine_postmigrate', detail: expect.stringMatching(WARNED) });
});

test('an engine that dies after the handover began leaves the same warning', async () => {
  const { domain, outgoing } = fakeDomain();
  const { id } = domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
  const error = { code: 'engine_crashed', message: 'The worker died.' } as const;
  outgoing().end({ status: 'failed', error, guest: 'unknown' });
  const row = await domain.migration.ended(id, 1000);
  expect(row).toMatchObject({ status: 'failed', errorDescription: expect.stringMatching(WARNED) });
});
