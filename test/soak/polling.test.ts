// A thousand questions a second about a migration at full speed, each with the tag of the answer before.

import { Agent, request } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { percentile } from '../../bench/statistics.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { spawnService } from '../helpers/guest-service.ts';

const POLLERS = 20;
const PER_SECOND = 50;
const P99_MS_MAX = 20;

type Answer = { readonly status: number; readonly tag: string; readonly ms: number };

function ask(url: string, agent: Agent, tag: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const headers = tag === '' ? {} : { 'if-none-match': tag };
    const asked = request(`${url}/migrate`, { agent, headers }, (response) => {
      response.resume().once('end', () => {
        const { statusCode = 0, headers: got } = response;
        resolve({ status: statusCode, tag: String(got.etag), ms: performance.now() - began });
      });
    });
    asked.on('error', reject).end();
  });
}

test('1 000 polls a second during a migration: answers stay quick, and the guest arrives', async () => {
  const target = await spawnService(temporaryDirectory(), ['--ram', '1G', '--incoming', 'tcp:127.0.0.1:0']);
  const flags = ['--ram', '1G', '--workload', 'rate=0,fill=random', '--set', 'max-bandwidth=200M'];
  const source = await spawnService(temporaryDirectory(), flags);
  const agent = new Agent({ keepAlive: true, maxSockets: POLLERS });
  onTestFinished(() => agent.destroy());
  const answers: Answer[] = [];
  let isOver = false;
  const poll = async (): Promise<void> => {
    let tag = '';
    while (!isOver) {
      const pause = new Promise((resolve) => setTimeout(resolve, 1000 / PER_SECOND));
      const answer = await ask(source.url, agent, tag);
      tag = answer.tag;
      answers.push(answer);
      await pause;
    }
  };
  await source.start(await target.incomingUri());
  await source.until(({ ram }) => (ram?.transferred ?? 0) > 0);
  const polling = Promise.all(Array.from({ length: POLLERS }, poll));
  const row = await source.ended();
  isOver = true;
  await polling;
  expect([row.status, row.guest], JSON.stringify(row)).toEqual(['completed', 'there']);
  const statuses = new Set(answers.map(({ status }) => status));
  expect([...statuses].sort()).toEqual([200, 304]);
  expect(
    percentile(
      answers.map(({ ms }) => ms),
      99,
    ),
  ).toBeLessThan(P99_MS_MAX);
});
