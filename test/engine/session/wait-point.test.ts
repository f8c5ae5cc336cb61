import { describe, expect, test } from 'vitest';
import { CancelledSignal, Monitor, TransferFailure } from '../../../src/engine/session/wait-point.ts';

const LONG_MS = 20_000;

function make() {
  let cancelled = false;
  const monitor = new Monitor(() => cancelled);
  return {
    monitor,
    cancel: () => {
      cancelled = true;
      monitor.notify();
    },
  };
}

describe('waiting for a condition', () => {
  test('ends when it holds after a notification', async () => {
    const { monitor } = make();
    let holds = false;
    const waiting = monitor.until(() => holds, LONG_MS, 'testing');
    monitor.notify();
    holds = true;
    monitor.notify();
    await expect(waiting).resolves.toBeUndefined();
  });

  test('fails at the deadline with the name of the phase', async () => {
    const { monitor } = make();
    const waiting = monitor.until(() => false, 10, 'waiting for Godot');
    await expect(waiting).rejects.toThrow('nothing happened for 10 ms while waiting for Godot');
    await expect(waiting).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  test('counts a condition that holds even if a failure came right behind', async () => {
    const { monitor } = make();
    let holds = false;
    const waiting = monitor.until(() => holds, LONG_MS, 'testing');
    holds = true;
    monitor.fail({ code: 'peer_closed', message: 'gone' });
    await expect(waiting).resolves.toBeUndefined();
    await expect(monitor.until(() => false, LONG_MS, 'testing')).rejects.toBeInstanceOf(TransferFailure);
  });

  test('ends with a cancel, which goes before a failure', async () => {
    const { monitor, cancel } = make();
    const waiting = monitor.until(() => false, LONG_MS, 'testing');
    cancel();
    monitor.fail({ code: 'peer_closed', message: 'gone' });
    await expect(waiting).rejects.toBeInstanceOf(CancelledSignal);
  });

  test('within a time says whether it holds, and fails with a failure', async () => {
    const { monitor } = make();
    expect(await monitor.within(5, () => false)).toBe(false);
    expect(await monitor.within(5, () => true)).toBe(true);
    monitor.fail({ code: 'peer_closed', message: 'one' });
    monitor.fail({ code: 'peer_reset', message: 'two' });
    await expect(monitor.within(LONG_MS, () => false)).rejects.toMatchObject({ code: 'peer_closed', message: 'one' });
  });
});

describe('sleeping', () => {
  test('lasts as long as asked although it is notified', async () => {
    const { monitor } = make();
    const started = performance.now();
    const sleeping = monitor.sleep(30);
    monitor.notify();
    await sleeping;
    expect(performance.now() - started).toBeGreaterThanOrEqual(29);
  });

  test('is broken off by a cancel and by a failure', async () => {
    const first = make();
    const sleeping = first.monitor.sleep(LONG_MS);
    first.cancel();
    await expect(sleeping).rejects.toBeInstanceOf(CancelledSignal);
    const second = make();
    const other = second.monitor.sleep(LONG_MS);
    second.monitor.fail({ code: 'peer_reset', message: 'rude' });
    await expect(other).rejects.toMatchObject({ code: 'peer_reset' });
  });
});
