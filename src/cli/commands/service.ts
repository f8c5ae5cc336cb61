import { readFileSync } from 'node:fs';
import { ConnectionLost, EXIT, type ExitStatus, Failure, interruptStatus } from '../client-failure.ts';
import type { CommandIo } from '../command-io.ts';
import { isRecord, jsonLine, parseExactJson } from '../json-values.ts';
import { oneLine } from '../output/plain-text.ts';
import { failureOf, type Service, ServiceClient } from '../service-client.ts';
import { reported } from './run-reported.ts';

/* wait, version: the service itself, whatever the state of its machine. */

export type WaitCommand = {
  /** Reads the address again. @throws ConnectionLost while the file with the address does not exist. */
  readonly locate: () => URL;
  readonly token: string | null;
  readonly timeoutMs: number | null;
  /** Number of the service's process; null: no process is watched. */
  readonly pid: number | null;
  readonly json: boolean;
  readonly quiet: boolean;
};

/** Pause between two requests, in milliseconds. */
const LOOK_MS = 50;
/** Time for one answer, in milliseconds. The minimum applies even where less is left of --timeout. */
const READY_ANSWER_MS_MAX = 5000;
const READY_ANSWER_MS_MIN = 500;

/**
 * Waits until the service is ready and prints its address. Exit status 1: the watched process has ended; 5: the time of
 * --timeout has passed. A service that does not answer yet, or is not ready, is asked again.
 */
export function runWaitCommand(command: WaitCommand, io: CommandIo): Promise<ExitStatus> {
  const { json, quiet } = command;
  return reported({ operation: 'wait', json }, io, async () => {
    const url = await ready(command, io);
    const address = url.href.replace(/\/$/, '');
    if (json) io.out(jsonLine({ url: address, ready: true }));
    else if (!quiet) io.out(`${address}\n`);
    return EXIT.done;
  });
}

async function ready(command: WaitCommand, io: CommandIo): Promise<URL> {
  const { pid, timeoutMs } = command;
  const { clock, interrupt } = io;
  const watch = pid === null ? null : new ProcessWatch(pid);
  const endMs = timeoutMs === null ? Number.POSITIVE_INFINITY : clock.nowMs() + timeoutMs;
  for (;;) {
    // The process is checked first: if its port was taken, a service of another run answers there.
    if (watch?.hasEnded()) throw new Failure(EXIT.failed, `process ${pid} has ended, and with it the service`);
    const leftMs = Math.max(endMs - clock.nowMs(), READY_ANSWER_MS_MIN);
    const seen = await look(command, Math.min(leftMs, READY_ANSWER_MS_MAX), io);
    if (seen instanceof URL) {
      if (watch?.hasEnded()) continue;
      return seen;
    }
    interrupt.throwIfAborted();
    await clock.wait(Math.min(LOOK_MS, Math.max(endMs - clock.nowMs(), 0)), interrupt);
    interrupt.throwIfAborted();
    if (clock.nowMs() >= endMs) throw new Failure(EXIT.timedOut, `not ready in time: ${seen}`);
  }
}

/** The address of the service if it is ready, else the reason. @throws Failure for an error that waiting does not cure. */
async function look({ locate, token }: WaitCommand, deadlineMs: number, io: CommandIo): Promise<URL | string> {
  try {
    const url = locate();
    const client = new ServiceClient({ url, token }, io.interrupt);
    const answer = await client.answer({ method: 'GET', path: '/readyz', deadlineMs });
    if (answer.status === 200) return url;
    if (answer.status !== 503) throw failureOf(answer);
    return notReady(answer.text);
  } catch (error) {
    if (error instanceof ConnectionLost) return error.message;
    throw error;
  }
}

/** The reason, with the checks that failed: `the service is not ready: data: …`. */
function notReady(text: string): string {
  try {
    const body = parseExactJson(text);
    const checks = isRecord(body) && isRecord(body.checks) ? Object.entries(body.checks) : [];
    const wrong = checks.filter(([, state]) => state !== 'ok').map(([name, state]) => `${name}: ${state}`);
    return wrong.length === 0 ? 'the service is not ready' : `the service is not ready: ${wrong.join(', ')}`;
  } catch {
    return 'the service is not ready';
  }
}

/** Time for the answer of the service, in milliseconds. */
const VERSION_ANSWER_MS_MAX = 2000;

/** Prints the version of this program, and the version of the service if it answers. A missing answer is not a failure. */
export async function runVersionCommand(
  command: { readonly service: Service; readonly json: boolean },
  io: CommandIo,
): Promise<ExitStatus> {
  const { service, json } = command;
  if (!json) io.out(`vmferry ${io.version}\n`);
  const found = await serviceVersion(service, io);
  if (io.interrupt.aborted) return interruptStatus(io.interrupt);
  if (json) io.out(jsonLine({ version: io.version, service: found }));
  else if (found !== null) io.out(`${oneLine(`service ${found} at ${service.url.origin}`)}\n`);
  return EXIT.done;
}

async function serviceVersion(service: Service, io: CommandIo): Promise<string | null> {
  try {
    const client = new ServiceClient(service, io.interrupt);
    const { info } = await client.record({ method: 'GET', path: '/openapi.json', deadlineMs: VERSION_ANSWER_MS_MAX });
    return isRecord(info) && typeof info.version === 'string' ? info.version : null;
  } catch (error) {
    if (error instanceof Failure || io.interrupt.aborted) return null;
    throw error;
  }
}

/** Watches a process. A process that has ended counts as ended before its parent has waited for it. */
export class ProcessWatch {
  readonly #pid: number;
  /** Start of the process, in the kernel's clock ticks. A later process with the same number has a later start. */
  readonly #began: string | null;

  constructor(pid: number) {
    this.#pid = pid;
    this.#began = statOf(pid)?.began ?? null;
  }

  hasEnded(): boolean {
    const stat = statOf(this.#pid);
    if (stat !== null) return stat.isOver || (this.#began !== null && stat.began !== this.#began);
    // Only Linux has /proc; elsewhere a signal 0 shows whether the process exists.
    return !isThere(this.#pid);
  }
}

/** State and start of a process from /proc; null if there is no such process. */
function statOf(pid: number): { readonly isOver: boolean; readonly began: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in brackets may contain spaces and brackets. The state follows it, and the start follows 19 fields later.
    const [state = '', ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { isOver: 'ZX'.includes(state), began: rest[18] ?? '' };
  } catch {
    return null;
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
