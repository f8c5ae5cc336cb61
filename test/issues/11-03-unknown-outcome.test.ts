// Messages about a guest with an unknown or unconfirmed owner described the event but not the remedy. They did not
// say that the capability return-path, which was off, would have confirmed the owner. They also did not warn that a
// guest that is resumed (cont) while it runs on the other side runs twice, which destroys its disks.

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

test('without a return path the message for an unknown outcome recommends one, and warns that cont may run the guest twice', async () => {
  const { row } = await migrated('RST', false);
  expect(row).toMatchObject({ guest: 'unknown', error: { code: 'handover_outcome_unknown' } });
  expect(row.error?.desc).toMatch(RECOMMENDED);
  expect(row.error?.desc).toMatch(WARNED);
});

test('with a return path the message for an unknown outcome has the same warning and no recommendation', async () => {
  const { row } = await migrated('FIN', true);
  expect(row).toMatchObject({ guest: 'unknown', error: { code: 'handover_outcome_unknown' } });
  expect(row.error?.desc).not.toContain('return-path');
  expect(row.error?.desc).toMatch(WARNED);
});

test('an unconfirmed completion recommends a return path, and the refusal of the next migration warns of cont', async () => {
  const { source, row } = await migrated('FIN', false);
  expect(row).toMatchObject({ status: 'completed', guest: 'there, unconfirmed' });
  expect(row.note).toMatch(RECOMMENDED);
  const refused = await source.call('/migrate', { body: { uri: 'file:guest' } });
  expect(refused.json).toMatchObject({ code: 'machine_postmigrate', detail: expect.stringMatching(WARNED) });
});

test('a worker that dies after the handover began leaves the same warning', async () => {
  const { domain, outgoing } = fakeDomain();
  const { id } = domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
  const error = { code: 'engine_crashed', message: 'The worker died.' } as const;
  outgoing().end({ status: 'failed', error, guest: 'unknown' });
  const row = await domain.migration.ended(id, 1000);
  expect(row).toMatchObject({ status: 'failed', errorDescription: expect.stringMatching(WARNED) });
});
