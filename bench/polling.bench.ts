import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchContext, type BenchRow, GIBIBYTE } from './bench.ts';
import { pollSteadily } from './service/poller.ts';
import { migrateVmferry, type Run } from './service/vmferry-pair.ts';
import { median, percentile } from './statistics.ts';

const REQUESTS_PER_SECOND = 200;
const P99_MS_MAX = 5;
const SLOWDOWN_MAX = 0.03;
/** So long a dashboard has been there before: at 200 polls/s V8 has compiled for good what answers them after 5 s. */
const BEFORE_MS = 8000;

/** Does a dashboard disturb a migration, or wait for it? */
export const polling: BenchRow = {
  name: 'polling',
  async measure(context) {
    const ramBytes = context.ramBytes ?? 4 * GIBIBYTE;
    const latencies: number[] = [];
    const polled: number[] = [];
    const alone: number[] = [];
    for (let index = 0; index < context.runs; index += 1) {
      alone.push((await run(context, ramBytes)).transferMs);
      polled.push((await run(context, ramBytes, latencies)).transferMs);
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

async function run({ directory }: BenchContext, ramBytes: number, latencies: number[] | null = null): Promise<Run> {
  const job = { directory, ramBytes, workload: 'fill=random,rate=0', isPreallocated: true };
  // Both kinds of run: memory that nobody touches for so long may be slower to use.
  if (latencies === null) return await migrateVmferry(job, { before: () => sleep(BEFORE_MS) });
  let isMigrating = false;
  let isOver = false;
  let polls: Promise<number> | null = null;
  const tell = (latencyMs: number): void => {
    if (isMigrating) latencies.push(latencyMs);
  };
  return await migrateVmferry(job, {
    before: async ({ url }) => {
      polls = pollSteadily({
        url,
        path: '/migrate',
        requestsPerSecond: REQUESTS_PER_SECOND,
        isOver: () => isOver,
        tell,
      });
      await sleep(BEFORE_MS);
      isMigrating = true;
    },
    after: async () => {
      isOver = true;
      await polls;
    },
  });
}
