import { type BenchRow, GIBIBYTE } from './bench.ts';
import { pollSteadily } from './service/poller.ts';
import { snapshotVmferry } from './service/snapshot-pair.ts';
import { median, percentile } from './statistics.ts';

const REQUESTS_PER_SECOND = 200;
const PATHS = ['/migrate', '/jobs'] as const;
const P99_MS_MAX = 5;

/** Does a save make a dashboard wait? */
export const snapshotPolling: BenchRow = {
  name: 'snapshot-polling',
  async measure(context) {
    const ramBytes = context.ramBytes ?? GIBIBYTE;
    const job = { directory: context.directory, ramBytes, work: 'save' } as const;
    const latencies = PATHS.map((path) => ({ path, latencies: [] as number[] }));
    const walls: number[] = [];
    for (let index = 0; index < context.runs; index += 1) {
      const run = await snapshotVmferry(job, async ({ url }, isOver) => {
        const polls = latencies.map((one) =>
          pollSteadily({ url, ...one, requestsPerSecond: REQUESTS_PER_SECOND / PATHS.length, isOver }),
        );
        await Promise.all(polls);
      });
      walls.push(run.wallMs);
      context.log(`  run ${index + 1}: saved in ${run.wallMs.toFixed(0)} ms`);
    }
    const all = latencies.flatMap((one) => one.latencies);
    const p99 = percentile(all, 99);
    return {
      name: 'snapshot-polling',
      job: `GET /migrate and GET /jobs at ${REQUESTS_PER_SECOND} requests/s in all while ${ramBytes / GIBIBYTE} GiB is saved`,
      qemu: null,
      vmferry: `p99 ${p99.toFixed(1)} ms, p50 ${percentile(all, 50).toFixed(1)} ms`,
      ratio: null,
      target: `p99 ≤ ${P99_MS_MAX} ms`,
      isMet: p99 <= P99_MS_MAX,
      samples: { 'latency-ms': [50, 90, 99, 100].map((part) => percentile(all, part)), 'save-ms': walls },
      notes: [
        `${all.length} requests. latency-ms: p50, p90, p99, worst. A save took ${median(walls).toFixed(0)} ms. The asking process shares the cores.`,
      ],
    };
  },
};
