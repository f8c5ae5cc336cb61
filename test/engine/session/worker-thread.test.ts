import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WorkerThread, watchHeartbeat } from '../../../src/engine/session/worker-thread.ts';
import { Heartbeat } from '../../../src/engine/shared/heartbeat.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a heartbeat that is unchanged for the time limit is reported once', () => {
  const onHang = vi.fn();
  watchHeartbeat(new Heartbeat(), 1000, onHang);
  vi.advanceTimersByTime(1100);
  expect(onHang).not.toHaveBeenCalled();
  vi.advanceTimersByTime(5000);
  expect(onHang).toHaveBeenCalledTimes(1);
});

test('a heartbeat that changes within the time limit is not reported', () => {
  const heartbeat = new Heartbeat();
  const onHang = vi.fn();
  const end = watchHeartbeat(heartbeat, 1000, onHang);
  for (let beat = 0; beat < 20; beat += 1) {
    heartbeat.beat();
    vi.advanceTimersByTime(900);
  }
  expect(onHang).not.toHaveBeenCalled();
  end();
  vi.advanceTimersByTime(5000);
  expect(onHang).not.toHaveBeenCalled();
});

describe('the handle of a worker thread', () => {
  /** A thread that runs `program`, its handle, and the calls of the handle in their order. */
  function begin(program: string) {
    vi.useRealTimers();
    const calls: string[] = [];
    const died = Promise.withResolvers<void>();
    const worker = new Worker(`const { parentPort } = require('node:worker_threads'); ${program}`, { eval: true });
    const thread = new WorkerThread<string, string>(worker, { hangMsMax: 60_000, terminateMsMax: 5000 });
    thread.handTo({
      message: (message) => calls.push(message),
      doomed: (reason) => calls.push(`doomed: ${reason}`),
      died: (reason) => {
        calls.push(`died: ${reason}`);
        died.resolve();
      },
    });
    return { worker, thread, calls, died: died.promise };
  }

  test('forwards messages, and reports the error of a thread before its end', async () => {
    const { thread, calls, died } = begin(
      `parentPort.on('message', (m) => { parentPort.postMessage(m); throw new Error('broken'); });`,
    );
    thread.post('order');
    await died;
    // Node sends messages and errors through two ports, so the message may come before or after the error.
    expect(calls.filter((call) => call !== 'order')).toEqual(['doomed: broken', 'died: broken']);
    expect(calls).toContain('order');
  });

  test('reports the exit status of a thread that exits', async () => {
    const { calls, died } = begin('process.exit(3);');
    await died;
    expect(calls).toEqual(['died: it exited with status 3']);
  });

  test('reports no death of a closed thread, and terminates it if it does not end', async () => {
    const { worker, thread, calls } = begin(`parentPort.on('message', () => {});`);
    const exited = once(worker, 'exit');
    await thread.close(10);
    await exited;
    expect(calls).toEqual([]);
  });

  test('passes all messages to the next owner after a handover, and none to the previous owner', async () => {
    const { thread, calls } = begin(
      `parentPort.on('message', (m) => { parentPort.postMessage(m); if (m === 'throw') throw new Error('broken'); });`,
    );
    const answered = Promise.withResolvers<string>();
    const died = Promise.withResolvers<string>();
    thread.handTo({ message: answered.resolve, died: died.resolve });
    thread.post('order');
    expect(await answered.promise).toBe('order');
    thread.post('throw');
    expect(await died.promise).toBe('broken');
    await thread.exited;
    expect(calls).toEqual([]);
  });

  test('reports an earlier death to the next owner', async () => {
    const { thread, died } = begin('process.exit(3);');
    await died;
    const known = Promise.withResolvers<string>();
    thread.handTo({ message: () => {}, died: known.resolve });
    expect(await known.promise).toBe('it exited with status 3');
  });
});
