// A thousand questions a second about a migration at full speed, each with the tag of the answer before.

import { expect, test } from 'vitest';
import { pollSteadily } from '../../bench/service/poller.ts';
import { percentile } from '../../bench/statistics.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { spawnService } from '../helpers/guest-service.ts';

const POLLERS = 20;
const PER_SECOND = 50;
const GUEST = ['--ram', '4G', '--workload', 'rate=0,fill=random', '--set', 'max-bandwidth=200M'];

test('1 000 polls a second during a migration: all are answered, many with 304, and the guest arrives', async () => {
  const target = await spawnService(temporaryDirectory(), ['--ram', '4G', '--incoming', 'tcp:127.0.0.1:0']);
  const source = await spawnService(temporaryDirectory(), GUEST);
  const latencies: number[] = [];
  const before: number[] = [];
  let isMigrating = false;
  let isOver = false;
  const steadily = {
    url: source.url,
    path: '/migrate',
    requestsPerSecond: PER_SECOND,
    isRevalidating: true,
    isOver: () => isOver,
    tell: (latencyMs: number) => void (isMigrating ? latencies : before).push(latencyMs),
  };
  const polls = Array.from({ length: POLLERS }, () => pollSteadily(steadily));
  await expect.poll(() => before.length).toBeGreaterThan(2 * POLLERS * PER_SECOND);
  await source.start(await target.incomingUri());
  isMigrating = true;
  const row = await source.ended();
  isOver = true;
  const unchanged = (await Promise.all(polls)).reduce((sum, count) => sum + count, 0);
  expect([row.status, row.guest], JSON.stringify(row)).toEqual(['completed', 'there']);
  expect(unchanged).toBeGreaterThan(0);
  expect(before.length + latencies.length).toBeGreaterThan(unchanged);
  const [p50, p99] = [50, 99].map((part) => percentile(latencies, part));
  console.log(`before the migration: p99 ${percentile(before, 99).toFixed(1)} ms`);
  console.log(
    `${latencies.length} answers, ${unchanged} of them 304: p50 ${p50?.toFixed(1)} ms, p99 ${p99?.toFixed(1)} ms`,
  );
});
