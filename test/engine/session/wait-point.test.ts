import { describe, expect, test } from 'vitest';
import { CancelledSignal, TransferFailure, WaitPoint } from '../../../src/engine/session/wait-point.ts';

const LONG_MS = 20_000;

function make() {
  let cancelled = false;
  const waitPoint = new WaitPoint(() => cancelled);
  return {
    waitPoint,
    cancel: () => {
      cancelled = true;
      waitPoint.notify();
    },
  };
}

describe('waiting for a condition', () => {
  test('ends if the condition holds after a notification', async () => {
    const { waitPoint } = make();
    let holds = false;
    const waiting = waitPoint.until(() => holds, LONG_MS, 'testing');
    waitPoint.notify();
    holds = true;
    waitPoint.notify();
    await expect(waiting).resolves.toBeUndefined();
  });

  test('ends for each of several waiters if its own condition holds', async () => {
    const { waitPoint } = make();
    const done = [false, false];
    const flows = done.map((_, flow) => waitPoint.until(() => done[flow] === true, LONG_MS, 'testing'));
    done[1] = true;
    waitPoint.notify();
    await expect(flows[1]).resolves.toBeUndefined();
    done[0] = true;
    waitPoint.notify();
    await expect(flows[0]).resolves.toBeUndefined();
  });

  test('has no deadline unless one is given, and ends with a failure or a cancel', async () => {
    const { waitPoint, cancel } = make();
    let holds = false;
    const waiting = waitPoint.when(() => holds);
    holds = true;
    waitPoint.notify();
    await expect(waiting).resolves.toBeUndefined();
    const cancelled = expect(waitPoint.when(() => false)).rejects.toThrow(CancelledSignal);
    cancel();
    await cancelled;
    const failing = make().waitPoint;
    const failed = expect(failing.when(() => false)).rejects.toThrow('it broke');
    failing.fail({ code: 'channel_failed', message: 'it broke' });
    await failed;
    // A condition that holds counts also after the failure.
    await failing.when(() => true);
  });

  test('fails at the deadline with the name of the phase', async () => {
    const { waitPoint } = make();
    const waiting = waitPoint.until(() => false, 10, 'waiting for Godot');
    await expect(waiting).rejects.toThrow('nothing happened for 10 ms while waiting for Godot');
    await expect(waiting).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  test('succeeds if the condition holds, even if a failure follows at once', async () => {
    const { waitPoint } = make();
    let holds = false;
    const waiting = waitPoint.until(() => holds, LONG_MS, 'testing');
    holds = true;
    waitPoint.fail({ code: 'peer_closed', message: 'gone' });
    await expect(waiting).resolves.toBeUndefined();
    await expect(waitPoint.until(() => false, LONG_MS, 'testing')).rejects.toBeInstanceOf(TransferFailure);
  });

  test('ends with a cancel, which has precedence over a failure', async () => {
    const { waitPoint, cancel } = make();
    const waiting = waitPoint.until(() => false, LONG_MS, 'testing');
    cancel();
    waitPoint.fail({ code: 'peer_closed', message: 'gone' });
    await expect(waiting).rejects.toBeInstanceOf(CancelledSignal);
  });

  test('within a time returns whether the condition holds, and fails after a failure', async () => {
    const { waitPoint } = make();
    expect(await waitPoint.within(5, () => false)).toBe(false);
    expect(await waitPoint.within(5, () => true)).toBe(true);
    waitPoint.fail({ code: 'peer_closed', message: 'one' });
    waitPoint.fail({ code: 'peer_reset', message: 'two' });
    await expect(waitPoint.within(LONG_MS, () => false)).rejects.toMatchObject({ code: 'peer_closed', message: 'one' });
  });
});

describe('sleeping', () => {
  test('lasts for the given time despite notifications', async () => {
    const { waitPoint } = make();
    const started = performance.now();
    const sleeping = waitPoint.sleep(30);
    waitPoint.notify();
    await sleeping;
    expect(performance.now() - started).toBeGreaterThanOrEqual(29);
  });

  test('is ended by a cancel and by a failure', async () => {
    const first = make();
    const sleeping = first.waitPoint.sleep(LONG_MS);
    first.cancel();
    await expect(sleeping).rejects.toBeInstanceOf(CancelledSignal);
    const second = make();
    const other = second.waitPoint.sleep(LONG_MS);
    second.waitPoint.fail({ code: 'peer_reset', message: 'rude' });
    await expect(other).rejects.toMatchObject({ code: 'peer_reset' });
  });
});
