import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { migrateQemu } from './service/qemu-pair.ts';
import { migrateVmferry } from './service/vmferry-pair.ts';

/** How fast is RAM walked that nobody has written yet? */
export const precopyZero: BenchRow = {
  name: 'precopy-zero',
  measure(context) {
    const { directory } = context;
    const ramBytes = context.ramBytes ?? 4 * GIBIBYTE;
    return measurePaired(
      {
        name: 'precopy-zero',
        job: `precopy, ${ramBytes / GIBIBYTE} GiB of zero RAM`,
        ramBytes,
        ratioMin: 1,
        normalPartMin: null,
        notes: [
          'RAM was never written on either side: vmferry knows that and need not read it (ADR 0006), QEMU reads it.',
        ],
        vmferry: () => migrateVmferry({ directory, ramBytes, workload: 'fill=zero,rate=0' }),
        qemu: () => migrateQemu({ directory, ramBytes, fill: 'zero' }),
      },
      context,
    );
  },
};
