import { type BenchRow, GIBIBYTE } from './bench.ts';
import { migrateVmferry, type Run } from './service/vmferry-pair.ts';
import { median } from './statistics.ts';

const DOWNTIME_LIMIT_MS = 300;
const WORKLOAD = 'rate=100M,span=256M,pattern=hot';

/** Does the migration of a busy guest converge, and for how long is the guest stopped? */
export const busyGuest: BenchRow = {
  name: 'busy-guest',
  async measure(context) {
    const { directory } = context;
    const ramBytes = context.ramBytes ?? GIBIBYTE;
    const runs: Run[] = [];
    for (let index = 0; index < context.runs; index += 1) {
      const parameters = { 'max-bandwidth': 1_000_000_000 };
      runs.push(await migrateVmferry({ directory, ramBytes, workload: WORKLOAD, parameters, isRunning: true }));
      context.log(`  run ${index + 1}: ${runs.at(-1)!.transferMs} ms, downtime ${runs.at(-1)!.downtimeMs} ms`);
    }
    const downtimes = runs.map((run) => run.downtimeMs);
    return {
      name: 'busy-guest',
      job: `busy guest: ${ramBytes / GIBIBYTE} GiB, 100 MiB/s dirtied in a hot 256 MiB, max-bandwidth 1 GB/s`,
      qemu: null,
      vmferry: `converges; downtime ${median(downtimes)} ms, at most ${Math.max(...downtimes)} ms`,
      ratio: null,
      target: `converges, downtime ≤ ${DOWNTIME_LIMIT_MS} ms`,
      isMet: Math.max(...downtimes) <= DOWNTIME_LIMIT_MS,
      samples: { 'downtime-ms': downtimes, 'transfer-ms': runs.map((run) => run.transferMs) },
      notes: [],
    };
  },
};
