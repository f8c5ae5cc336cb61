import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { snapshotQemu, snapshotVmferry } from './service/snapshot-pair.ts';

/** How fast is a machine saved into its disk? */
export const snapshotSave: BenchRow = {
  name: 'snapshot-save',
  measure(context) {
    const ramBytes = context.ramBytes ?? GIBIBYTE;
    const job = { directory: context.directory, ramBytes, work: 'save' } as const;
    return measurePaired(
      {
        name: 'snapshot-save',
        job: `${ramBytes / GIBIBYTE} GiB of random RAM saved into qcow2`,
        ramBytes,
        ratioMin: 3,
        normalPartMin: 0.98,
        notes: ['Both sides end with their data forced to the disk.', 'vmferry keeps digests of all that it saves.'],
        vmferry: () => snapshotVmferry(job),
        qemu: () => snapshotQemu(job),
      },
      context,
    );
  },
};
