import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchContext } from '../bench.ts';
import { median } from '../statistics.ts';
import { pollSteadily } from './poller.ts';
import { migrateVmferry, type Run, type VmferryJob } from './vmferry-pair.ts';

/**
 * Duration of polling before the migration begins, because V8 compiles the code of the answers in the first seconds. A migration
 * without polling waits for the same time, because memory that is not used may become slower.
 */
export const BEFORE_MS = 10_000;

export type Watching = {
  readonly pollers: number;
  /** Requests per second of all pollers together. */
  readonly requestsPerSecond: number;
  /** As in Poller. */
  readonly isRevalidating: boolean;
};

/** The measurements of clients that polled `GET /migrate` during the migration. */
type Watched = Run & {
  /** Times of the answers, in milliseconds. */
  readonly latencies: readonly number[];
  /** Number of 304 answers, including those before the migration. */
  readonly unchanged: number;
};

/** The same migration with and without polling clients, alternately. */
export type Comparison = {
  /** transferMs of each run without polling. */
  readonly alone: readonly number[];
  readonly polled: readonly number[];
  /** Times of the answers in all polled runs, in milliseconds. */
  readonly latencies: readonly number[];
  readonly unchanged: number;
  /** Relative increase of the median migration time by polling; 0.05 is 5 %. */
  readonly slowdown: number;
};

/** Runs both kinds as often as the bench requires. */
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

/** Migrates with or without clients that poll the source. */
async function migrateWatched(job: VmferryJob, watching: Watching | null): Promise<Watched> {
  const latencies: number[] = [];
  let isMigrating = false;
  let isOver = false;
  let polls: Promise<number[]> | null = null;
  const poll = (url: string, { pollers, requestsPerSecond, isRevalidating }: Watching) => {
    const onAnswer = (latencyMs: number): void => {
      if (isMigrating) latencies.push(latencyMs);
    };
    const each = { url, path: '/migrate', isRevalidating, isOver: () => isOver, onAnswer };
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
