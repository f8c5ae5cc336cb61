import { describe, expect, test } from 'vitest';
import { ioOf, run } from './fake-io.ts';
import { concluded, fakeService, type JobState, problem, running } from './fake-service.ts';

/** A job with a progress of 20 of 100 MiB per second, polled every 200 ms. */
function slowly(): JobState[] {
  return Array.from({ length: 26 }, (_, look) => running(Math.min(4 * look, 100), 100));
}

describe('progress without a terminal', () => {
  test('is at most one line per second', async () => {
    const io = ioOf(await fakeService(running(0, 0, 'created'), ...slowly(), concluded()));
    expect(await run(io, 'save', 'warm')).toBe(0);
    const lines = io.stderr.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.length).toBeLessThanOrEqual(io.nowMs / 1000 + 1);
    expect(lines[0]).toBe('saving warm: created');
    expect(lines[2]).toMatch(/^saving warm: running, \d+ %, \d+\.0 MiB of 100\.0 MiB, \d+\.\d MiB\/s, 0:0\d left$/);
  });

  test('is not printed while nothing changes', async () => {
    const io = ioOf(await fakeService(...Array(50).fill(running(5, 10)), concluded()));
    await run(io, 'save', 'warm');
    expect(io.stderr).toBe('saving warm: running, 50 %, 5.0 MiB of 10.0 MiB\n');
  });

  test('is not printed with --quiet', async () => {
    const io = ioOf(await fakeService(...slowly(), concluded()));
    expect(await run(io, 'load', 'warm', '--quiet')).toBe(0);
    expect([io.stdout, io.stderr]).toEqual(['', '']);
  });
});

test('a delete shows the bytes that it frees', async () => {
  const io = ioOf(await fakeService(running(5, 10), concluded()));
  await run(io, 'delete', 'warm');
  expect(io.stderr).toBe('deleting warm: running, 50 %, 5.0 MiB of 10.0 MiB\n');
});

describe('progress on a terminal', () => {
  test('is one line that is overwritten, and removed at the end', async () => {
    const io = ioOf(await fakeService(...slowly(), concluded()));
    io.width = 100;
    expect(await run(io, 'save', 'warm')).toBe(0);
    const shown = io.stderr.split('\r\u001b[K');
    expect(shown[0]).toBe('');
    expect(shown.at(-1)).toBe('');
    expect(shown[14]).toMatch(/^saving warm {2}running {2}\[#{11}\.{12}\] {2}52 % {2}52\.0 MiB of 100\.0 MiB {2}/);
    expect(shown[14]).toMatch(/\d\d\.\d MiB\/s {2}0:0\d left$/);
    expect(Math.max(...shown.map(({ length }) => length))).toBeLessThan(100);
    expect(io.stderr).not.toContain('\n');
    expect(io.stdout).toMatch(/^saved warm: /);
  });

  test.each([1, 10, 40, 60])('fits into %i columns', async (columns) => {
    const io = ioOf(await fakeService(...slowly(), concluded()));
    io.width = columns;
    await run(io, 'save', 'warm');
    expect(Math.max(...io.stderr.split('\r\u001b[K').map(({ length }) => length))).toBeLessThan(columns);
  });

  test('is removed before an error is printed', async () => {
    const service = await fakeService(running(1, 2));
    service.handler = (seen) => (seen.method === 'GET' ? problem(404, 'job_not_found') : service.serve(seen));
    const io = ioOf(service);
    io.width = 80;
    await run(io, 'save', 'warm');
    expect(io.stderr).toMatch(/\r\u001b\[Kvmferry: saving warm: the outcome of job j1 is unknown: .*\n$/);
  });

  test('is printed in lines on a dumb terminal', async () => {
    const io = ioOf(await fakeService(running(1, 2), concluded()));
    io.width = 80;
    io.environment = { ...io.environment, terminal: 'dumb' };
    await run(io, 'save', 'warm');
    expect(io.stderr).toBe('saving warm: running, 50 %, 1.0 MiB of 2.0 MiB\n');
  });
});

describe('--json', () => {
  test('prints progress and result as lines on standard output, and nothing on standard error', async () => {
    const io = ioOf(await fakeService(...slowly(), concluded()));
    expect(await run(io, 'save', 'warm', '--json')).toBe(0);
    expect(io.stderr).toBe('');
    expect(io.lines.map(({ type }) => type)).toEqual([...Array(5).fill('progress'), 'result']);
    expect(io.lines[0]).toEqual({ type: 'progress', job: running(0, 100) });
    expect(io.lines.at(-1)).toEqual({
      type: 'result',
      'exit-status': 0,
      outcome: 'completed',
      replayed: false,
      stopped: null,
      tag: 'warm',
      job: concluded(),
    });
  });

  test.each([
    ['a failure', ['load', 'a'], concluded('failed', 'x'), { 'exit-status': 1, outcome: 'failed', stopped: null }],
    [
      'a time-out',
      ['load', 'a', '--timeout', '0'],
      running(),
      { 'exit-status': 5, outcome: 'running', stopped: 'timeout' },
    ],
    ['--no-wait', ['load', 'a', '--no-wait'], running(), { 'exit-status': 0, outcome: 'accepted' }],
  ])('ends with a result line for %s', async (_, words, state, expected) => {
    const io = ioOf(await fakeService(state));
    expect(await run(io, ...words, '--json', '-q')).toBe(expected['exit-status']);
    expect(io.lines).toEqual([{ type: 'result', tag: 'a', job: state, replayed: false, ...expected }]);
  });

  test.each([['load', 'a'], ['list']])('ends with an error line for a refusal: %s %s', async (...words) => {
    const service = await fakeService();
    service.handler = () => problem(404, 'snapshot_not_found', 'None.');
    const io = ioOf(service);
    expect(await run(io, ...words, '--json')).toBe(4);
    const detail = 'refused (404 snapshot_not_found): None.';
    expect(io.lines).toEqual([{ type: 'error', 'exit-status': 4, code: 'snapshot_not_found', detail }]);
    expect(io.stderr).toBe('');
  });
});
