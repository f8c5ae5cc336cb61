import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { snapshotQemu, snapshotVmferry } from './service/snapshot-pair.ts';

/** How fast is a snapshot loaded? */
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
          'vmferry compares every byte with its digest and loads into new memory, so that the guest survives a failed load.',
        ],
        vmferry: () => snapshotVmferry(job),
        qemu: () => snapshotQemu(job),
      },
      context,
    );
  },
};
