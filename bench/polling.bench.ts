import { type BenchRow, GIBIBYTE } from './bench.ts';
import { BEFORE_MS, compareWatched } from './service/watched-migration.ts';
import { percentile } from './statistics.ts';

const REQUESTS_PER_SECOND = 200;
const WATCHING = { pollers: 1, requestsPerSecond: REQUESTS_PER_SECOND, isRevalidating: false };
const P99_MS_MAX = 5;
const SLOWDOWN_MAX = 0.03;

/** Do polling clients slow down a migration, or does it delay them? */
export const polling: BenchRow = {
  name: 'polling',
  async measure(context) {
    const ramBytes = context.ramBytes ?? 4 * GIBIBYTE;
    const job = { directory: context.directory, ramBytes, workload: 'fill=random,rate=0', isPreallocated: true };
    const { alone, polled, latencies, slowdown } = await compareWatched(context, job, WATCHING);
    const p99 = percentile(latencies, 99);
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
        `${latencies.length} requests. latency-ms: p50, p90, p99, worst. The asking process shares the cores with both services, and polled for ${BEFORE_MS / 1000} s before the migration.`,
      ],
    };
  },
};
