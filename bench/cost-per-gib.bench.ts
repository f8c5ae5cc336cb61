import { type BenchContext, type BenchRow, GIBIBYTE, MEBIBYTE } from './bench.ts';
import { migrateVmferry } from './service/vmferry-pair.ts';
import { availableBytes } from './service/warm.ts';
import { median, spread } from './statistics.ts';

const SIZES = [256 * MEBIBYTE, GIBIBYTE, 2 * GIBIBYTE, 4 * GIBIBYTE, 8 * GIBIBYTE];
const SPREAD_MAX = 0.1;
/** Memory that a run needs, in units of guest RAM: source, target, and the child process of `warm.ts`. */
const MEMORY_FACTOR = 3.3;

/** Does a GiB of a large guest cost more than a GiB of a small guest? */
export const costPerGib: BenchRow = {
  name: 'cost-per-gib',
  async measure(context) {
    const costs: number[] = [];
    const samples: Record<string, readonly number[]> = {};
    const skipped: string[] = [];
    for (const ramBytes of SIZES) {
      if (ramBytes * MEMORY_FACTOR > availableBytes()) {
        skipped.push(sizeOf(ramBytes));
        continue;
      }
      const times = await timesFor(context, ramBytes);
      samples[`${sizeOf(ramBytes)}-ms`] = times;
      costs.push((median(times) * GIBIBYTE) / ramBytes);
      context.log(`  ${sizeOf(ramBytes)}: ${costs.at(-1)!.toFixed(0)} ms per GiB`);
    }
    return {
      name: 'cost-per-gib',
      job: 'cost per GiB from 256 MiB to 8 GiB of random RAM',
      qemu: null,
      vmferry: `${costs.map((cost) => cost.toFixed(0)).join(', ')} ms; ${(spread(costs) * 100).toFixed(0)} % apart`,
      ratio: null,
      target: `flat within ${SPREAD_MAX * 100} %`,
      isMet: skipped.length === 0 ? spread(costs) <= SPREAD_MAX : null,
      samples,
      notes: skipped.length === 0 ? [] : [`Too large for the memory of this machine: ${skipped.join(', ')}.`],
    };
  },
};

async function timesFor({ directory, runs }: BenchContext, ramBytes: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < runs; index += 1) {
    const job = { directory, ramBytes, workload: 'fill=random,rate=0', isPreallocated: true };
    times.push((await migrateVmferry(job)).transferMs);
  }
  return times;
}

function sizeOf(bytes: number): string {
  return bytes < GIBIBYTE ? `${bytes / MEBIBYTE}-mib` : `${bytes / GIBIBYTE}-gib`;
}
