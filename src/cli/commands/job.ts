import { randomUUID } from 'node:crypto';
import { type JobRequest, ServiceClient, type Verb } from '../client.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { ConnectionLost, Failure } from '../failure.ts';
import { type Ending, followJob } from '../follow.ts';
import type { Job } from '../job.ts';
import { createJobOutput, type JobOutput } from '../job-output.ts';
import type { World } from '../world.ts';

/* save, load, delete, verify: start a job, follow it, and say with the exit status what came of it. */

export type JobCommand = {
  readonly verb: Verb;
  readonly tag: string;
  readonly request: JobRequest;
  readonly url: URL;
  readonly token: string | null;
  readonly waits: boolean;
  /** Null: as long as it takes. */
  readonly timeoutMs: number | null;
  readonly cancelsOnTimeout: boolean;
  readonly reconnectMs: number;
  /** Null: one is made, so that the request can be sent again when its answer is lost. */
  readonly idempotencyKey: string | null;
  readonly json: boolean;
  readonly quiet: boolean;
};

const RETRY_MS = 250;

export async function runJobCommand(command: JobCommand, world: World): Promise<ExitStatus> {
  const { verb, tag, json, quiet, url, token } = command;
  const output = createJobOutput({ verb, tag, json, quiet, world });
  const client = new ServiceClient(url, { token, signal: null });
  try {
    return await run(command, { world, output, client });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    output.failure(error);
    return error.exitStatus;
  } finally {
    output.end();
  }
}

type Parts = { readonly world: World; readonly output: JobOutput; readonly client: ServiceClient };

async function run(command: JobCommand, { world, output, client }: Parts): Promise<ExitStatus> {
  const startedMs = world.clock.nowMs();
  const job = await start(command, { world, output, client });
  if (!command.waits && !world.interrupt.aborted) {
    output.accepted(job);
    return EXIT.done;
  }
  const ending = await followJob(job, {
    client,
    world,
    deadlineMs: command.timeoutMs === null ? null : startedMs + command.timeoutMs,
    cancelsOnTimeout: command.cancelsOnTimeout,
    reconnectMs: command.reconnectMs,
    report: (seen) => output.report(seen),
    note: (text) => output.note(text),
  });
  const exitStatus = exitStatusOf(ending, world.interrupt);
  output.result(ending, { exitStatus, durationMs: world.clock.nowMs() - startedMs });
  return exitStatus;
}

/** Sends the request again if its answer was lost, as the key allows. A service that was never there is not awaited. */
async function start(command: JobCommand, { world, output, client }: Parts): Promise<Job> {
  const { verb, tag, request, reconnectMs, idempotencyKey } = command;
  const key = idempotencyKey ?? randomUUID();
  const retryMs = Math.min(reconnectMs, command.timeoutMs ?? reconnectMs);
  let lostAtMs: number | null = null;
  for (;;) {
    try {
      return await client.start(verb, tag, request, key);
    } catch (error) {
      if (!(error instanceof Failure) || !mayComeLater(error, lostAtMs !== null)) throw error;
      if (lostAtMs === null) output.note(`${error.message}; trying again`);
      lostAtMs ??= world.clock.nowMs();
      if (world.interrupt.aborted || world.clock.nowMs() - lostAtMs >= retryMs) throw error;
    }
    await world.clock.wait(RETRY_MS, world.interrupt);
  }
}

/** Whether to send it again: its answer was lost, or, after that, the first one is still being answered. */
function mayComeLater(failure: Failure, wasLost: boolean): boolean {
  if (failure instanceof ConnectionLost) return wasLost || failure.mayHaveArrived;
  return wasLost && failure.code === 'idempotency_key_in_use';
}

function exitStatusOf({ job, stop }: Ending, interrupt: AbortSignal): ExitStatus {
  if (stop === 'interrupt') return interrupt.reason === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
  if (job.isCompleted) return EXIT.done;
  const wasCutShort = stop === 'timeout' && (!job.isConcluded || job.outcome === 'cancelled');
  return wasCutShort ? EXIT.timedOut : EXIT.failed;
}
