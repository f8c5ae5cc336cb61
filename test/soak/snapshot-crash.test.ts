// kill -9 and cancels at many moments of work on snapshots.

import { expect, test } from 'vitest';
import { snapshotBed } from '../helpers/snapshots/bed.ts';
import { cancelAtMoments } from '../helpers/snapshots/cancels.ts';
import { type CrashCounts, crashSnapshots } from '../helpers/snapshots/crash.ts';

const CANCELS = 24;

function tell(counts: CrashCounts): void {
  for (const [work, { killed, survived }] of Object.entries(counts)) {
    console.log(`${work}: ${killed} cut off by the kill, ${survived} done before it`);
    expect(killed, work).toBeGreaterThan(0);
  }
}

test('kill -9 at 120 random moments of one disk loses no snapshot and leaves no partial one', async () => {
  tell(await crashSnapshots(120, 0, 0xc4a1));
});

test('kill -9 at 80 random moments of three disks leaves them consistent with each other', async () => {
  tell(await crashSnapshots(80, 2, 0xc4a2));
});

test.each(['save', 'load', 'verify', 'delete'] as const)(
  `${CANCELS} cancels of a %s each leave all or nothing`,
  async (work) => {
    const bed = await snapshotBed({
      flags: ['--ram', '64M', '--workload', 'rate=20M,span=8M,fill=random'],
      extraDisks: 1,
    });
    await bed.snapshots.does('save', 'kept', { vmstate: 'disk0', devices: ['disk0', 'disk1'] });
    const { cancelled, done } = await cancelAtMoments(bed, work, CANCELS);
    console.log(`${work}: ${cancelled} cancelled, ${done} done`);
    expect(cancelled + done).toBe(CANCELS);
    // A deletion that has started is completed.
    if (work !== 'delete') expect(cancelled).toBeGreaterThan(0);
  },
);
