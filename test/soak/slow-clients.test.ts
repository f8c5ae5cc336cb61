// Two thousand connections with almost no data: they are closed in time, and other clients are not affected.

import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Poller } from '../../bench/service/poller.ts';
import { percentile } from '../../bench/statistics.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { spawnService } from '../helpers/guest-service.ts';

const IDLE = 1900;
const SLOW = 50;
const QUESTIONS = 2000;
const P99_MS_MAX = 20;

function connected(url: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => resolve(socket));
    socket.on('error', reject);
    onTestFinished(() => void socket.destroy());
  });
}

function answerOf(socket: Socket): Promise<string> {
  let text = '';
  socket.removeAllListeners('error').on('error', () => {});
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  return new Promise((resolve) => socket.once('close', () => resolve(text)));
}

test('idle connections and bodies of one byte per second are closed in time, and do not delay other clients', async () => {
  const { url } = await spawnService(temporaryDirectory(), ['--workload', 'rate=0']);
  const idle = await Promise.all(Array.from({ length: IDLE }, () => connected(url)));
  const idleAnswers = idle.map(answerOf);
  const slow = await Promise.all(Array.from({ length: SLOW }, () => connected(url)));
  const slowAnswers = slow.map(answerOf);
  const head = 'PATCH /migrate/parameters HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  for (const socket of slow) socket.write(`${head}Content-Length: 1000\r\n\r\n`);
  const drip = setInterval(() => {
    for (const socket of slow) if (socket.writable) socket.write(' ');
  }, 1000);
  onTestFinished(() => clearInterval(drip));

  const poller = await Poller.connect(url, '/migrate');
  const latencies: number[] = [];
  for (let question = 0; question < QUESTIONS; question += 1) {
    const asked = performance.now();
    await poller.ask();
    latencies.push(performance.now() - asked);
  }
  poller.close();
  expect(percentile(latencies, 99)).toBeLessThan(P99_MS_MAX);
  for (const answer of await Promise.all([...idleAnswers, ...slowAnswers])) expect(answer).toMatch(/^HTTP\/1\.1 408 /);
});
