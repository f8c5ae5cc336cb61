import { type BenchRow, GIBIBYTE } from './bench.ts';
import { BEFORE_MS, migrateWatched } from './service/watched-migration.ts';
import { median, percentile } from './statistics.ts';

const REQUESTS_PER_SECOND = 200;
const WATCHING = { pollers: 1, requestsPerSecond: REQUESTS_PER_SECOND, isRevalidating: false };
const P99_MS_MAX = 5;
const SLOWDOWN_MAX = 0.03;

/** Does a dashboard disturb a migration, or wait for it? */
export const polling: BenchRow = {
  name: 'polling',
  async measure(context) {
    const ramBytes = context.ramBytes ?? 4 * GIBIBYTE;
    const job = { directory: context.directory, ramBytes, workload: 'fill=random,rate=0', isPreallocated: true };
    const latencies: number[] = [];
    const polled: number[] = [];
    const alone: number[] = [];
    for (let index = 0; index < context.runs; index += 1) {
      alone.push((await migrateWatched(job, null)).transferMs);
      const watched = await migrateWatched(job, WATCHING);
      polled.push(watched.transferMs);
      latencies.push(...watched.latencies);
      context.log(`  run ${index + 1}: alone ${alone.at(-1)} ms, polled ${polled.at(-1)} ms`);
    }
    const p99 = percentile(latencies, 99);
    const slowdown = median(polled) / median(alone) - 1;
    return {
      name: 'polling',
      job: `GET /migrate at ${REQUESTS_PER_SECOND} requests/s during a migration at full speed`,
      qemu: null,
      vmferry: `p99 ${p99.toFixed(1)} ms, p50 ${percentile(latencies, 50).toFixed(1)} ms, slowed by ${(slowdown * 100).toFixed(1)} %`,
      ratio: null,
      target: `p99 ≤ ${P99_MS_MAX} ms, slowed by < ${SLOWDOWN_MAX * 100} %`,
      isMet: p99 <= P99_MS_MAX && slowdown < SLOWDOWN_MAX,
      samples: { 'latency-ms': [50, 90, 99, 100].map((part) => percentile(latencies, part)), alone, polled },
      notes: [
        `${latencies.length} requests. latency-ms: p50, p90, p99, worst. The asking process shares the cores with both services, and has asked for ${BEFORE_MS / 1000} s before.`,
      ],
    };
  },
};
