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
    const latencies: number[] = [];
    const latenciesBefore: number[] = [];
    const walls: number[] = [];
    for (let index = 0; index < context.runs; index += 1) {
      const run = await snapshotVmferry(job, async ({ url }, phase) => {
        const tell = (latencyMs: number): void => {
          (phase() === 'before' ? latenciesBefore : latencies).push(latencyMs);
        };
        const polls = PATHS.map((path) =>
          pollSteadily({
            url,
            path,
            requestsPerSecond: REQUESTS_PER_SECOND / PATHS.length,
            isOver: () => phase() === 'over',
            tell,
          }),
        );
        await Promise.all(polls);
      });
      walls.push(run.wallMs);
      context.log(`  run ${index + 1}: saved in ${run.wallMs.toFixed(0)} ms`);
    }
    const p99 = percentile(latencies, 99);
    return {
      name: 'snapshot-polling',
      job: `GET /migrate and GET /jobs at ${REQUESTS_PER_SECOND} requests/s in all while ${ramBytes / GIBIBYTE} GiB is saved`,
      qemu: null,
      vmferry: `p99 ${p99.toFixed(1)} ms, p50 ${percentile(latencies, 50).toFixed(1)} ms`,
      ratio: null,
      target: `p99 ≤ ${P99_MS_MAX} ms`,
      isMet: p99 <= P99_MS_MAX,
      samples: { 'latency-ms': [50, 90, 99, 100].map((part) => percentile(latencies, part)), 'save-ms': walls },
      notes: [
        `${latencies.length} requests. latency-ms: p50, p90, p99, worst. A save took ${median(walls).toFixed(0)} ms. The asking process shares the cores.`,
        `What the machine itself adds: in the seconds before the saves, with nothing else to do, p99 was ${percentile(latenciesBefore, 99).toFixed(1)} ms.`,
      ],
    };
  },
};
