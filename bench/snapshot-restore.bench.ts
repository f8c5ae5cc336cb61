import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { snapshotQemu, snapshotVmferry } from './service/snapshot-pair.ts';

/** How fast does a machine come back where nothing has run yet, as in a CI that saved once and restores per run? */
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
          'vmferry checks every byte against its digest, and loads into memory of its own: the guest is there until all is well.',
        ],
        vmferry: () => snapshotVmferry(job),
        qemu: () => snapshotQemu(job),
      },
      context,
    );
  },
};
