import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { Heartbeat } from '../shared/heartbeat.ts';

/**
 * Priority of threads that move much data, in nice levels. On a busy host the threads that answer requests have priority;
 * on an idle host it makes no difference.
 */
const NICE = 5;

/**
 * Begins the program of a worker thread: lowers the priority of the thread.
 * @returns the port to the main thread. The thread ends by itself once the port and its channels are closed.
 */
export function beginWorkerProgram(): MessagePort {
  if (parentPort === null) throw new Error('this file is a worker thread');
  lowerPriority();
  return parentPort;
}

/**
 * Beats every `everyMs`, which shows that the event loop of this thread runs.
 * @param buffer of the Heartbeat that the main thread watches.
 * @returns the heartbeat, for work that blocks the event loop, and a function that stops the timer.
 */
export function startBeating(buffer: SharedArrayBuffer, everyMs: number) {
  const heartbeat = new Heartbeat(buffer);
  heartbeat.threadId = systemThreadId();
  const timer = setInterval(() => heartbeat.beat(), everyMs).unref();
  return { heartbeat, stop: () => clearInterval(timer) };
}

/**
 * Lowers the priority of this thread below that of the other threads of the process. Has no effect where the system does
 * not permit it. Only Linux has priorities of threads; elsewhere the call would change the whole process.
 */
export function lowerPriority(): void {
  const thread = process.platform === 'linux' ? systemThreadId() : 0;
  if (thread === 0) return;
  try {
    setPriority(thread, NICE);
  } catch {
    // Not permitted.
  }
}

/** The system's number of this thread, as `ps -L` shows it; 0 without a /proc file system. */
function systemThreadId(): number {
  try {
    return Number(/\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
