import { Failure } from '../client-failure.ts';
import { sameJob } from '../client-job.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { createJobOutput, type JobOutput } from '../output/job-output.ts';
import { type JobRequest, type Service, ServiceClient, type Verb } from '../service-client.ts';
import { startOnce } from '../start.ts';
import { exitStatusOf, retryMsOf, type Waiting } from '../waiting.ts';
import { follow } from '../work-follower.ts';
import type { World } from '../world.ts';

/* save, load, delete, verify, compact: start a job, follow it, and say with the exit status what came of it. */

export type JobCommand = Waiting & {
  readonly verb: Verb;
  /** Null where the work is on images, not on a snapshot. */
  readonly tag: string | null;
  readonly request: JobRequest;
  readonly service: Service;
  readonly json: boolean;
  readonly quiet: boolean;
};

export async function runJobCommand(command: JobCommand, world: World): Promise<ExitStatus> {
  const { verb, tag, json, quiet, service } = command;
  const output = createJobOutput({ verb, tag, json, quiet, world });
  const client = new ServiceClient(service, null);
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
  const { verb, tag, request, timeoutMs, cancelsOnTimeout, reconnectMs, idempotencyKey } = command;
  const startedMs = world.clock.nowMs();
  const note = (text: string): void => output.note(text);
  const { work: job, wasReplayed } = await startOnce({
    send: (key) => client.start(verb, tag, request, key),
    idempotencyKey,
    retryMs: retryMsOf(command),
    world,
    note,
  });
  if (wasReplayed) output.replayed(job);
  if (!command.waits && !world.interrupt.aborted) {
    output.accepted(job);
    return EXIT.done;
  }
  const ending = await follow(job, {
    name: `job ${job.id}`,
    look: async (deadlineMs) => sameJob(job, await client.job(job.id, deadlineMs)),
    cancel: () => client.cancelJob(job.id),
    wake: null,
    world,
    deadlineMs: timeoutMs === null ? null : startedMs + timeoutMs,
    cancelsOnTimeout,
    reconnectMs,
    report: (seen) => output.report(seen),
    note,
  });
  const exitStatus = exitStatusOf(ending, world.interrupt);
  output.result(ending, { exitStatus, durationMs: world.clock.nowMs() - startedMs });
  return exitStatus;
}
