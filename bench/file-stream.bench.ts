import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { migrateQemuToFile } from './service/qemu-pair.ts';
import { migrateVmferryToFile } from './service/vmferry-pair.ts';

/** How fast is a machine written to a file? */
export const fileStream: BenchRow = {
  name: 'file-stream',
  measure(context) {
    const { directory } = context;
    const ramBytes = context.ramBytes ?? GIBIBYTE;
    return measurePaired(
      {
        name: 'file-stream',
        job: `migration of ${ramBytes / GIBIBYTE} GiB of random RAM to a file: (stream)`,
        ramBytes,
        ratioMin: 1,
        normalPartMin: 0.98,
        notes: ['Neither side synchronises the file with the disk, so the figure is that of the page cache.'],
        vmferry: () => migrateVmferryToFile({ directory, ramBytes, workload: 'fill=random,rate=0' }),
        qemu: () => migrateQemuToFile({ directory, ramBytes, fill: 'random' }),
      },
      context,
    );
  },
};
