import type { BenchRow } from './bench.ts';
import { Service } from './service/vmferry.ts';
import { median } from './statistics.ts';

const START_MS_MAX = 600;

/** How long until the service answers? */
export const start: BenchRow = {
  name: 'start',
  async measure(context) {
    const times: number[] = [];
    // The first start of a checkout fills the compile cache. It is shown but does not count.
    const first = await timedStart(context.directory);
    for (let index = 0; index < Math.max(context.runs, 5); index += 1) {
      times.push(await timedStart(context.directory));
      context.log(`  start ${index + 1}: ${times.at(-1)!.toFixed(0)} ms`);
    }
    return {
      name: 'start',
      job: 'start to first answered request',
      qemu: null,
      vmferry: `${(median(times) / 1000).toFixed(2)} s`,
      ratio: null,
      target: `≤ ${START_MS_MAX / 1000} s`,
      isMet: median(times) <= START_MS_MAX,
      samples: { 'start-ms': times.map(Math.round), 'first-start-ms': [Math.round(first)] },
      notes: ['From the spawn of the process to the answer of GET /migrate, default flags.'],
    };
  },
};

async function timedStart(directory: string): Promise<number> {
  const from = performance.now();
  await using service = await Service.start(directory, []);
  await service.migration();
  return performance.now() - from;
}
