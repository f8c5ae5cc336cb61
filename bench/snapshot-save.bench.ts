import { type BenchRow, GIBIBYTE } from './bench.ts';
import { measurePaired } from './paired.ts';
import { rawDiskMs } from './service/raw-disk.ts';
import { snapshotQemu, snapshotVmferry } from './service/snapshot-pair.ts';
import { median } from './statistics.ts';

/** How fast is a machine saved to its disk? */
export const snapshotSave: BenchRow = {
  name: 'snapshot-save',
  async measure(context) {
    const ramBytes = context.ramBytes ?? GIBIBYTE;
    const job = { directory: context.directory, ramBytes, work: 'save' } as const;
    const result = await measurePaired(
      {
        name: 'snapshot-save',
        job: `${ramBytes / GIBIBYTE} GiB of random RAM saved into qcow2`,
        ramBytes,
        ratioMin: 3,
        normalPartMin: 0.98,
        notes: [
          'Both sides synchronise their data with the disk.',
          'vmferry stores digests of everything that it saves.',
        ],
        vmferry: () => snapshotVmferry(job),
        qemu: () => snapshotQemu(job),
      },
      context,
    );
    const raw: number[] = [];
    for (let index = 0; index < context.runs; index += 1) raw.push(await rawDiskMs(context.directory, ramBytes));
    const floorMs = median(raw);
    const best = result.samples['qemu-transfer-ms'];
    const bound = best === undefined ? '' : `, ${(median(best) / floorMs).toFixed(2)} × QEMU`;
    const note = `The disk alone takes ${floorMs.toFixed(0)} ms for the same number of bytes (direct writes, then fdatasync)${bound}.`;
    return { ...result, samples: { ...result.samples, 'raw-disk-ms': raw }, notes: [...result.notes, note] };
  },
};
