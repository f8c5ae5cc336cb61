import { type BenchRow, GIBIBYTE, MEBIBYTE } from './bench.ts';
import { residentBytes } from './service/process.ts';
import { migrateVmferry } from './service/vmferry-pair.ts';
import { median } from './statistics.ts';

const IDLE_MIB_MAX = 120;
const MIGRATING_MIB_MAX = 200;

/** How much memory does the service use in addition to guest RAM? */
export const memory: BenchRow = {
  name: 'memory',
  async measure(context) {
    const { directory } = context;
    const ramBytes = context.ramBytes ?? GIBIBYTE;
    const above = (bytes: number): number => Math.round((bytes - ramBytes) / MEBIBYTE);
    const idle: number[] = [];
    const source: number[] = [];
    const target: number[] = [];
    for (let index = 0; index < context.runs; index += 1) {
      await migrateVmferry(
        { directory, ramBytes, workload: 'fill=random,rate=0', isPreallocated: true },
        {
          before: (from) => void idle.push(above(residentBytes(from.pid).now)),
          after: (from, to) => {
            source.push(above(residentBytes(from.pid).peak));
            target.push(above(residentBytes(to.pid).peak));
          },
        },
      );
      context.log(`  run ${index + 1}: idle ${idle.at(-1)}, source ${source.at(-1)}, target ${target.at(-1)} MiB`);
    }
    const migrating = Math.max(median(source), median(target));
    return {
      name: 'memory',
      job: `memory above ${ramBytes / GIBIBYTE} GiB of guest RAM, all of it resident`,
      qemu: null,
      vmferry: `idle ${median(idle)} MiB; migrating ${median(source)} MiB (source), ${median(target)} MiB (target)`,
      ratio: null,
      target: `≤ ${IDLE_MIB_MAX} MiB idle, ≤ ${MIGRATING_MIB_MAX} MiB migrating`,
      isMet: median(idle) <= IDLE_MIB_MAX && migrating <= MIGRATING_MIB_MAX,
      samples: { 'idle-mib': idle, 'source-peak-mib': source, 'target-peak-mib': target },
      notes: ['Resident set without guest RAM; during a migration, the maximum since the start.'],
    };
  },
};
