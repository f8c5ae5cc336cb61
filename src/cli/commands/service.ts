import { ConnectionLost, Failure } from '../client-failure.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { isRecord, parseExactJson } from '../json-values.ts';
import { oneLine } from '../output/plain-text.ts';
import { ProcessWatch } from '../process-watch.ts';
import { failureOf, ServiceClient } from '../service-client.ts';
import { interruptStatus } from '../waiting.ts';
import type { World } from '../world.ts';
import { failureObject, jsonLine } from './service-command.ts';

/* wait: until the service is ready, for scripts that have just started one. */

export type WaitCommand = {
  /** The address as it is known now. @throws Failure, with status 3 while the file that has it is not there. */
  readonly locate: () => URL;
  readonly token: string | null;
  readonly timeoutMs: number | null;
  /** The process that is to become ready; null: none is watched. */
  readonly pid: number | null;
  readonly json: boolean;
  readonly quiet: boolean;
};

const LOOK_MS = 50;
/** For one answer: a service that is alive gives it at once. Less is no time, whatever is left of --timeout. */
const ANSWER_MS_MAX = 5000;
const ANSWER_MS_MIN = 500;

/**
 * Ends with 0 and the address once the service is ready, with 1 when the process has ended before that, and with 5 when
 * the time has passed. A service that is not there yet, or not ready, is asked again.
 */
export async function runWaitCommand(command: WaitCommand, world: World): Promise<ExitStatus> {
  try {
    const url = await ready(command, world);
    const { json, quiet } = command;
    const address = url.href.replace(/\/$/, '');
    if (json) world.out(jsonLine({ url: address, ready: true }));
    else if (!quiet) world.out(`${address}\n`);
    return EXIT.done;
  } catch (error) {
    if (world.interrupt.aborted) return interruptStatus(world.interrupt);
    if (!(error instanceof Failure)) throw error;
    if (command.json) world.out(jsonLine(failureObject(error)));
    else world.err(`vmferry: wait: ${oneLine(error.message)}\n`);
    return error.exitStatus;
  }
}

async function ready(command: WaitCommand, world: World): Promise<URL> {
  const { pid, timeoutMs } = command;
  const { clock, interrupt } = world;
  const watch = pid === null ? null : new ProcessWatch(pid);
  const endMs = timeoutMs === null ? Number.POSITIVE_INFINITY : clock.nowMs() + timeoutMs;
  for (;;) {
    // The process first: a service of another run may answer at an address that this one could not have.
    if (watch?.hasEnded()) throw new Failure(EXIT.failed, `process ${pid} has ended, and with it the service`);
    const leftMs = Math.max(endMs - clock.nowMs(), ANSWER_MS_MIN);
    const seen = await look(command, Math.min(leftMs, ANSWER_MS_MAX), world);
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

/** The address of the service if it is ready, else why it is not. @throws Failure for what waiting does not mend. */
async function look({ locate, token }: WaitCommand, deadlineMs: number, world: World): Promise<URL | string> {
  try {
    const url = locate();
    const client = new ServiceClient({ url, token }, world.interrupt);
    const answer = await client.answer({ method: 'GET', path: '/readyz', deadlineMs });
    if (answer.status === 200) return url;
    if (answer.status !== 503) throw failureOf(answer);
    return notReady(answer.text);
  } catch (error) {
    if (error instanceof ConnectionLost) return error.message;
    throw error;
  }
}

/** `data: …`: the checks that do not say ok. */
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
