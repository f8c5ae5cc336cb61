import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { migrateQemu } from './service/qemu-pair.ts';
import { migrateVmferry } from './service/vmferry-pair.ts';

/** How fast does RAM travel that holds something on every page? */
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
        notes: ['Both targets have taken the memory for their RAM beforehand (prealloc).'],
        vmferry: () => migrateVmferry({ directory, ramBytes, workload: 'fill=random,rate=0', isPreallocated: true }),
        qemu: () => migrateQemu({ directory, ramBytes, fill: 'random' }),
      },
      context,
    );
  },
};
