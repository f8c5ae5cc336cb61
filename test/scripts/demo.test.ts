import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { conclude } from '../../scripts/demo/conclusion.ts';
import { Screen } from '../../scripts/demo/screen.ts';
import { migrateBusyGuest } from '../../scripts/demo/story.ts';
import { temporaryDirectory } from '../helpers/app.ts';

const DEMO = join(import.meta.dirname, '..', '..', 'scripts', 'demo.ts');
const SMALL = {
  ramBytes: 32 * 2 ** 20,
  workload: 'rate=60M,span=24M,pattern=seq',
  slowBytesPerSecond: 20_000_000,
  fastBytesPerSecond: 1_000_000_000,
  lookMs: 200,
};

test('a small guest does not converge until its bandwidth is raised, and then completes', async () => {
  const directory = temporaryDirectory();
  const written: string[] = [];
  const screen = new Screen({ write: (text) => written.push(text) }, () => performance.now());
  const { signal } = new AbortController();

  const facts = await migrateBusyGuest({ directory, screen, settings: SMALL, signal });

  expect(conclude(facts)).toMatchObject({ isWell: true });
  const text = written.join('');
  expect(text).toMatch(/^(stalled|hopeless): .*raise max-bandwidth/m);
  expect(text).toContain('PATCH /migrate/parameters {"max-bandwidth":1000000000}');
  expect(text).toMatch(/^ +[\d.]+ s {2}\d+ +\d+M +\d+ MB\/s +\d+ MB\/s +~\d+ of 300 ms {2}(stalled|hopeless)$/m);
  expect(readdirSync(directory)).toEqual([]);
});

test('an interrupted demo ends both services, removes their data and reports it in its status', async () => {
  const directory = temporaryDirectory();
  const demo = spawn(process.execPath, [DEMO], {
    env: { ...process.env, TMPDIR: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void demo.kill('SIGKILL'));
  let closing = '';
  for await (const line of createInterface({ input: demo.stdout })) {
    closing = line;
    if (line.includes('1 (')) break;
  }
  expect(closing).toContain('1 (');
  expect(readdirSync(directory)).toHaveLength(1);
  const rest: string[] = [];
  demo.stdout.on('data', (chunk) => rest.push(String(chunk)));
  demo.stdout.resume();

  demo.kill('SIGINT');
  // The services inherit its standard error, which is closed only when they have ended too.
  const [status] = await once(demo, 'close');

  expect(status).toBe(130);
  expect(rest.join('')).toContain('Interrupted (SIGINT)');
  expect(readdirSync(directory)).toEqual([]);
});
