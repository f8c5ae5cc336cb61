import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { snapshotQemu, snapshotVmferry } from './service/snapshot-pair.ts';

/** How fast does a machine come back from a snapshot? */
export const snapshotLoad: BenchRow = {
  name: 'snapshot-load',
  measure(context) {
    const ramBytes = context.ramBytes ?? GIBIBYTE;
    const job = { directory: context.directory, ramBytes, work: 'load' } as const;
    return measurePaired(
      {
        name: 'snapshot-load',
        job: `${ramBytes / GIBIBYTE} GiB of random RAM loaded from qcow2`,
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
