// The reserved disk space was for the end of jobs only. On a full disk the row of a deletion or a migration could not
// be inserted, and no setting could be stored. So nothing could free space and no guest could be migrated away. A
// deletion also writes new tables into the image before it frees the old ones, and had no reserved space for them.

import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { localService } from '../helpers/guest-service.ts';
import { describeWithMounts, fillUp, smallDisk } from '../helpers/snapshots/mounts.ts';
import { expectClean } from '../helpers/snapshots/qemu-image.ts';
import { Snapshots } from '../helpers/snapshots/snapshot-client.ts';

describeWithMounts('a full disk with all images and the database', () => {
  test('allows deleting snapshots, changing settings, stopping the guest and migrating it away', async () => {
    const data = smallDisk(56);
    const flags = ['--workload', 'rate=0,fill=random', '--file-root', temporaryDirectory()];
    const service = await localService(flags, { data, hasDisk: true });
    const snapshots = new Snapshots(service);
    await service.post('/stop');
    await snapshots.does('save', 'old');
    await snapshots.does('save', 'new');
    await service.post('/cont');

    const giveBack = fillUp(data, 0);
    const refused = await snapshots.ask('save', 'more');
    expect([refused.status, refused.json.code], refused.text).toEqual([507, 'no_space']);
    await service.post('/stop');
    await service.post('/cont');
    await snapshots.does('delete', 'old');
    expect(statSync(join(data, 'reserve')).size).toBeGreaterThan(0);
    await snapshots.does('verify', 'new');
    await service.expectRunning();
    giveBack();
    rmSync(join(data, 'ballast'));

    fillUp(data, 0);
    await service.set({ 'max-bandwidth': 10 ** 9 });
    await service.post('/migrate/cancel');
    const id = await service.start('file:guest');
    await service.untilStatus('completed');
    expect(await service.row(id)).toMatchObject({ status: 'completed', guest: 'there' });
    expect(await service.runState()).toBe('postmigrate');
    rmSync(join(data, 'ballast'));
    await service.app.close();
    expectClean(join(data, 'disk0.qcow2'));
  });
});
