import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchContext, type BenchRow, GIBIBYTE } from './bench.ts';
import { pollSteadily } from './service/poller.ts';
import { remove, save, startFilled } from './service/snapshot-pair.ts';
import { warmMemory } from './service/warm.ts';
import { median, percentile } from './statistics.ts';

const REQUESTS_PER_SECOND = 200;
const PATHS = ['/migrate', '/jobs'] as const;
const P99_MS_MAX = 5;
/** Number of saves of one service, one after the other. */
const SAVES = 3;
/** Duration of polling before the first save. At 200 polls/s V8 has compiled the code of the answers after 3 s. */
const BEFORE_MS = 10_000;
/** Duration of the polls before the first save with which later polls are compared. */
const COMPARED_MS = 5000;

type Latencies = {
  /** Times of the answers during each save of a service, over all runs, in milliseconds. */
  readonly saves: readonly number[][];
  readonly before: number[];
};

/** Does a save delay polling clients? */
export const snapshotPolling: BenchRow = {
  name: 'snapshot-polling',
  async measure(context) {
    const ramBytes = context.ramBytes ?? GIBIBYTE;
    const latencies: Latencies = { saves: Array.from({ length: SAVES }, () => []), before: [] };
    const walls: number[] = [];
    for (let index = 0; index < context.runs; index += 1) {
      const times = await saveWatched(context, ramBytes, latencies);
      walls.push(...times);
      context.log(`  run ${index + 1}: saved in ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`);
    }
    const all = latencies.saves.flat();
    const p99 = percentile(all, 99);
    const each = latencies.saves.map((some) => percentile(some, 99).toFixed(1));
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
        `${all.length} requests. latency-ms: p50, p90, p99, worst. A save took ${median(walls).toFixed(0)} ms. The polling process shares the cores with the service.`,
        `${SAVES} saves of each service, after ${BEFORE_MS / 1000} s of polling. p99 of the first, second and further saves: ${each.join(', ')} ms.`,
        `In the ${COMPARED_MS / 1000} s before the first save, without other work, p99 was ${percentile(latencies.before, 99).toFixed(1)} ms.`,
      ],
    };
  },
};

/** @returns the duration of each save in milliseconds */
async function saveWatched({ directory }: BenchContext, ramBytes: number, latencies: Latencies): Promise<number[]> {
  await using service = await startFilled(directory, ramBytes);
  await warmMemory(ramBytes);
  // The first request loads the code of the HTTP client, which would delay later polls.
  await service.migration();
  let recorded: number[] | null = null;
  let isOver = false;
  const polls = PATHS.map((path) =>
    pollSteadily({
      url: service.url,
      path,
      requestsPerSecond: REQUESTS_PER_SECOND / PATHS.length,
      isOver: () => isOver,
      onAnswer: (latencyMs) => recorded?.push(latencyMs),
    }),
  );
  await sleep(BEFORE_MS - COMPARED_MS);
  recorded = latencies.before;
  await sleep(COMPARED_MS);
  const walls: number[] = [];
  for (const [index, ofThisSave] of latencies.saves.entries()) {
    const tag = `bench-${index}`;
    recorded = ofThisSave;
    walls.push((await save(service, tag)).wallMs);
    recorded = null;
    await remove(service, tag);
  }
  isOver = true;
  await Promise.all(polls);
  return walls;
}
