import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { migrateQemu } from './service/qemu-pair.ts';
import { migrateVmferry } from './service/vmferry-pair.ts';

/** How fast is RAM migrated that has content on every page? */
export const precopyRandom: BenchRow = {
  name: 'precopy-random',
  measure(context) {
    const { directory } = context;
    const ramBytes = context.ramBytes ?? GIBIBYTE;
    return measurePaired(
      {
        name: 'precopy-random',
        job: `precopy, ${ramBytes / GIBIBYTE} GiB of random RAM, one TCP channel`,
        ramBytes,
        ratioMin: 1.5,
        normalPartMin: 0.98,
        notes: ['Both targets allocated their RAM before the migration (prealloc).'],
        vmferry: () => migrateVmferry({ directory, ramBytes, workload: 'fill=random,rate=0', isPreallocated: true }),
        qemu: () => migrateQemu({ directory, ramBytes, fill: 'random' }),
      },
      context,
    );
  },
};
