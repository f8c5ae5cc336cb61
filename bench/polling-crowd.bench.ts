import { type BenchRow, GIBIBYTE } from './bench.ts';
import { compareWatched } from './service/watched-migration.ts';
import { percentile } from './statistics.ts';

const POLLERS = 20;
const REQUESTS_PER_SECOND = 1000;
const WATCHING = { pollers: POLLERS, requestsPerSecond: REQUESTS_PER_SECOND, isRevalidating: true };
const P99_MS_MAX = 20;
const SLOWDOWN_MAX = 0.05;
/** The default max-bandwidth of QEMU and vmferry, in bytes per second. */
const BANDWIDTH = 128 * 2 ** 20;

/** Are many polling clients answered in time during a migration at the default bandwidth? */
export const pollingCrowd: BenchRow = {
  name: 'polling-crowd',
  async measure(context) {
    const ramBytes = context.ramBytes ?? 2 * GIBIBYTE;
    const job = {
      directory: context.directory,
      ramBytes,
      workload: 'fill=random,rate=0',
      isPreallocated: true,
      parameters: { 'max-bandwidth': BANDWIDTH },
    };
    const { alone, polled, latencies, slowdown, unchanged } = await compareWatched(context, job, WATCHING);
    const p99 = percentile(latencies, 99);
    return {
      name: 'polling-crowd',
      job: `GET /migrate at ${REQUESTS_PER_SECOND} requests/s, with tags, during a migration at the default max-bandwidth`,
      qemu: null,
      vmferry: `p99 ${p99.toFixed(1)} ms, p50 ${percentile(latencies, 50).toFixed(1)} ms, slowed by ${(slowdown * 100).toFixed(1)} %`,
      ratio: null,
      target: `p99 ≤ ${P99_MS_MAX} ms, slowed by < ${SLOWDOWN_MAX * 100} %`,
      isMet: p99 <= P99_MS_MAX && slowdown < SLOWDOWN_MAX,
      samples: { 'latency-ms': [50, 90, 99, 100].map((part) => percentile(latencies, part)), alone, polled },
      notes: [
        `${latencies.length} requests of ${POLLERS} connections. latency-ms: p50, p90, p99, worst. ${unchanged} answers were 304, most of them before the migration.`,
      ],
    };
  },
};
