import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchContext } from '../bench.ts';
import { median } from '../statistics.ts';
import { pollSteadily } from './poller.ts';
import { migrateVmferry, type Run, type VmferryJob } from './vmferry-pair.ts';

/**
 * So long the polls have gone on when the migration begins: a dashboard has been there before, and V8 compiles for good what
 * answers it in the first seconds. An unwatched migration waits as long: memory that nobody touches may get slower to use.
 */
export const BEFORE_MS = 10_000;

export type Watching = {
  readonly pollers: number;
  /** Of all together. */
  readonly requestsPerSecond: number;
  /** As of a Poller. */
  readonly isRevalidating: boolean;
};

/** What those who polled `GET /migrate` met during the migration. */
type Watched = Run & {
  /** Milliseconds. */
  readonly latencies: readonly number[];
  /** Answers that were 304, those before the migration too. */
  readonly unchanged: number;
};

/** The same job with and without those who poll, in turn. */
export type Comparison = {
  /** transferMs of each run. */
  readonly alone: readonly number[];
  readonly polled: readonly number[];
  /** Of all polled runs. */
  readonly latencies: readonly number[];
  readonly unchanged: number;
  /** How much longer the median migration took when it was polled; 0.05 is 5 %. */
  readonly slowdown: number;
};

/** Runs both as often as the bench is told to. */
export async function compareWatched(context: BenchContext, job: VmferryJob, watching: Watching): Promise<Comparison> {
  const alone: number[] = [];
  const watched: Watched[] = [];
  for (let index = 0; index < context.runs; index += 1) {
    alone.push((await migrateWatched(job, null)).transferMs);
    watched.push(await migrateWatched(job, watching));
    context.log(`  run ${index + 1}: alone ${alone.at(-1)} ms, polled ${watched.at(-1)?.transferMs} ms`);
  }
  const polled = watched.map(({ transferMs }) => transferMs);
  return {
    alone,
    polled,
    latencies: watched.flatMap(({ latencies }) => latencies),
    unchanged: watched.reduce((sum, { unchanged }) => sum + unchanged, 0),
    slowdown: median(polled) / median(alone) - 1,
  };
}

/** Migrates while the source is polled, or with no one to watch. */
async function migrateWatched(job: VmferryJob, watching: Watching | null): Promise<Watched> {
  const latencies: number[] = [];
  let isMigrating = false;
  let isOver = false;
  let polls: Promise<number[]> | null = null;
  const poll = (url: string, { pollers, requestsPerSecond, isRevalidating }: Watching) => {
    const tell = (latencyMs: number): void => {
      if (isMigrating) latencies.push(latencyMs);
    };
    const each = { url, path: '/migrate', isRevalidating, isOver: () => isOver, tell };
    const one = () => pollSteadily({ ...each, requestsPerSecond: requestsPerSecond / pollers });
    return Promise.all(Array.from({ length: pollers }, one));
  };
  try {
    const run = await migrateVmferry(job, {
      before: async ({ url }) => {
        if (watching !== null) polls = poll(url, watching);
        await sleep(BEFORE_MS);
        isMigrating = true;
      },
      after: async () => {
        isOver = true;
        await polls;
      },
    });
    const counts: readonly number[] = (await polls) ?? [];
    return { ...run, latencies, unchanged: counts.reduce((sum, count) => sum + count, 0) };
  } finally {
    isOver = true;
  }
}
