import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { migrateQemu } from './service/qemu-pair.ts';
import { migrateVmferry } from './service/vmferry-pair.ts';

/** How fast is RAM processed that was never written? */
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
          'RAM was never written on either side. vmferry knows this and does not read the pages (ADR 0006); QEMU reads them.',
        ],
        vmferry: () => migrateVmferry({ directory, ramBytes, workload: 'fill=zero,rate=0' }),
        qemu: () => migrateQemu({ directory, ramBytes, fill: 'zero' }),
      },
      context,
    );
  },
};
