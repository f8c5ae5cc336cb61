// A thousand polls per second of a migration at full speed, each with the entity tag of the previous answer.

import { expect, test } from 'vitest';
import { pollSteadily } from '../../bench/service/poller.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { spawnService } from '../helpers/guest-service.ts';

const POLLERS = 20;
const PER_SECOND = 50;
const GUEST = ['--ram', '4G', '--workload', 'rate=0,fill=random', '--set', 'max-bandwidth=200M'];

test('1 000 polls per second during a migration are all answered, many with 304, and the guest arrives', async () => {
  const target = await spawnService(temporaryDirectory(), ['--ram', '4G', '--incoming', 'tcp:127.0.0.1:0']);
  const source = await spawnService(temporaryDirectory(), GUEST);
  let before = 0;
  let during = 0;
  let isMigrating = false;
  let isOver = false;
  const steadily = {
    url: source.url,
    path: '/migrate',
    requestsPerSecond: PER_SECOND,
    isRevalidating: true,
    isOver: () => isOver,
    onAnswer: () => {
      if (isMigrating) during += 1;
      else before += 1;
    },
  };
  const polls = Array.from({ length: POLLERS }, () => pollSteadily(steadily));
  await expect.poll(() => before).toBeGreaterThan(2 * POLLERS * PER_SECOND);
  await source.start(await target.incomingUri());
  isMigrating = true;
  const row = await source.ended();
  isOver = true;
  const unchanged = (await Promise.all(polls)).reduce((sum, count) => sum + count, 0);
  expect([row.status, row.guest], JSON.stringify(row)).toEqual(['completed', 'there']);
  expect(unchanged).toBeGreaterThan(0);
  expect([during > POLLERS * PER_SECOND, before + during > unchanged]).toEqual([true, true]);
});
