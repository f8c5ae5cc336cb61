import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { snapshotQemu, snapshotVmferry } from './service/snapshot-pair.ts';

/** How fast does a new process load a snapshot, as in a CI that saves once and restores for each run? */
export const snapshotRestore: BenchRow = {
  name: 'snapshot-restore',
  measure(context) {
    const ramBytes = context.ramBytes ?? GIBIBYTE;
    const job = { directory: context.directory, ramBytes, work: 'restore' } as const;
    return measurePaired(
      {
        name: 'snapshot-restore',
        job: `${ramBytes / GIBIBYTE} GiB of random RAM loaded from qcow2 by a process just started`,
        ramBytes,
        ratioMin: 2,
        normalPartMin: 0.98,
        notes: [
          'vmferry compares every byte with its digest and loads into new memory, so that the guest survives a failed load.',
        ],
        vmferry: () => snapshotVmferry(job),
        qemu: () => snapshotQemu(job),
      },
      context,
    );
  },
};
