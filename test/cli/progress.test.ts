import { describe, expect, test } from 'vitest';
import { concluded, fakeService, type JobState, problem, running } from './fake-service.ts';
import { run, worldOf } from './fake-world.ts';

/** A job that does 20 MiB of 100 in a second, seen each 200 ms. */
function slowly(): JobState[] {
  return Array.from({ length: 26 }, (_, look) => running(Math.min(4 * look, 100), 100));
}

describe('progress without a terminal', () => {
  test('is at most one line per second', async () => {
    const world = worldOf(await fakeService(running(0, 0, 'created'), ...slowly(), concluded()));
    expect(await run(world, 'save', 'warm')).toBe(0);
    const lines = world.stderr.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.length).toBeLessThanOrEqual(world.nowMs / 1000 + 1);
    expect(lines[0]).toBe('saving warm: created');
    expect(lines[2]).toMatch(/^saving warm: running, \d+ %, \d+\.0 MiB of 100\.0 MiB, \d+\.\d MiB\/s, 0:0\d left$/);
  });

  test('is silent while nothing changes', async () => {
    const world = worldOf(await fakeService(...Array(50).fill(running(5, 10)), concluded()));
    await run(world, 'save', 'warm');
    expect(world.stderr).toBe('saving warm: running, 50 %, 5.0 MiB of 10.0 MiB\n');
  });

  test('is silent with --quiet', async () => {
    const world = worldOf(await fakeService(...slowly(), concluded()));
    expect(await run(world, 'load', 'warm', '--quiet')).toBe(0);
    expect([world.stdout, world.stderr]).toEqual(['', '']);
  });
});

test('a delete counts the bytes that it frees', async () => {
  const world = worldOf(await fakeService(running(5, 10), concluded()));
  await run(world, 'delete', 'warm');
  expect(world.stderr).toBe('deleting warm: running, 50 %, 5.0 MiB of 10.0 MiB\n');
});

describe('progress on a terminal', () => {
  test('is one line that is overwritten, and removed at the end', async () => {
    const world = worldOf(await fakeService(...slowly(), concluded()));
    world.width = 100;
    expect(await run(world, 'save', 'warm')).toBe(0);
    const shown = world.stderr.split('\r\u001b[K');
    expect(shown[0]).toBe('');
    expect(shown.at(-1)).toBe('');
    expect(shown[14]).toMatch(/^saving warm {2}running {2}\[#{11}\.{12}\] {2}52 % {2}52\.0 MiB of 100\.0 MiB {2}/);
    expect(shown[14]).toMatch(/\d\d\.\d MiB\/s {2}0:0\d left$/);
    expect(Math.max(...shown.map(({ length }) => length))).toBeLessThan(100);
    expect(world.stderr).not.toContain('\n');
    expect(world.stdout).toMatch(/^saved warm: /);
  });

  test.each([1, 10, 40, 60])('fits into %i columns', async (columns) => {
    const world = worldOf(await fakeService(...slowly(), concluded()));
    world.width = columns;
    await run(world, 'save', 'warm');
    expect(Math.max(...world.stderr.split('\r\u001b[K').map(({ length }) => length))).toBeLessThan(columns);
  });

  test('is removed before an error is printed', async () => {
    const service = await fakeService(running(1, 2));
    service.handler = (seen) => (seen.method === 'GET' ? problem(404, 'job_not_found') : service.serve(seen));
    const world = worldOf(service);
    world.width = 80;
    await run(world, 'save', 'warm');
    expect(world.stderr).toMatch(/\r\u001b\[Kvmferry: saving warm: the outcome of job j1 is not known.*\n$/);
  });

  test('is printed in lines on a dumb terminal', async () => {
    const world = worldOf(await fakeService(running(1, 2), concluded()));
    world.width = 80;
    world.environment = { ...world.environment, terminal: 'dumb' };
    await run(world, 'save', 'warm');
    expect(world.stderr).toBe('saving warm: running, 50 %, 1.0 MiB of 2.0 MiB\n');
  });
});

describe('--json', () => {
  test('prints progress and result as lines on standard output, and nothing on standard error', async () => {
    const world = worldOf(await fakeService(...slowly(), concluded()));
    expect(await run(world, 'save', 'warm', '--json')).toBe(0);
    expect(world.stderr).toBe('');
    expect(world.lines.map(({ type }) => type)).toEqual([...Array(5).fill('progress'), 'result']);
    expect(world.lines[0]).toEqual({ type: 'progress', job: running(0, 100) });
    expect(world.lines.at(-1)).toEqual({
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
    const world = worldOf(await fakeService(state));
    expect(await run(world, ...words, '--json', '-q')).toBe(expected['exit-status']);
    expect(world.lines).toEqual([{ type: 'result', tag: 'a', job: state, replayed: false, ...expected }]);
  });

  test.each([['load', 'a'], ['list']])('ends with an error line for a refusal: %s %s', async (...words) => {
    const service = await fakeService();
    service.handler = () => problem(404, 'snapshot_not_found', 'None.');
    const world = worldOf(service);
    expect(await run(world, ...words, '--json')).toBe(4);
    const detail = 'refused (404 snapshot_not_found): None.';
    expect(world.lines).toEqual([{ type: 'error', 'exit-status': 4, code: 'snapshot_not_found', detail }]);
    expect(world.stderr).toBe('');
  });
});
