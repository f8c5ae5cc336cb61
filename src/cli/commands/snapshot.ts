import { EXIT, type ExitStatus, Failure } from '../client-failure.ts';
import { sameJob } from '../client-job.ts';
import { isRecord, jsonLine, numberOf, stringOf, timeOf } from '../json-values.ts';
import { createJobOutput, type JobOutput } from '../output/job-output.ts';
import { clockText, oneLine, sizeText, table } from '../output/plain-text.ts';
import { type JobRequest, type Service, ServiceClient, type Verb } from '../service-client.ts';
import { exitStatusOf, follow, startOnce, type Waiting } from '../work-follower.ts';
import type { World } from '../world.ts';
import { type Common, withClient } from './service-command.ts';

/* snapshot save, load, delete, verify and compact, which start a job and follow it; snapshot list. */

export type JobCommand = Waiting & {
  readonly verb: Verb;
  /** Null for work on images. */
  readonly tag: string | null;
  readonly request: JobRequest;
  readonly service: Service;
  readonly json: boolean;
  readonly quiet: boolean;
};

/** Starts a job, waits for its end unless --no-wait is given, and gives the exit status of its outcome. */
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
  const { verb, tag, request, timeoutMs, cancelsOnTimeout, reconnectMs } = command;
  const startedMs = world.clock.nowMs();
  const note = (text: string): void => output.note(text);
  const { work: job, wasReplayed } = await startOnce({
    send: (key) => client.start(verb, tag, request, key),
    waiting: command,
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

export type ListCommand = Common & {
  /** Tag of the only snapshot that is printed; null: all. */
  readonly tag: string | null;
  readonly quiet: boolean;
};

/** Prints snapshots as a table, as tags alone, or as one JSON document. */
export function runListCommand(command: ListCommand, world: World): Promise<ExitStatus> {
  const { tag, json, quiet } = command;
  const operation = tag === null ? 'listing snapshots' : `listing ${tag}`;
  return withClient({ ...command, operation }, world, async (client) => {
    const snapshots =
      tag === null
        ? await client.pages('/snapshots', 'snapshots')
        : [await client.record({ method: 'GET', path: `/snapshots/${encodeURIComponent(tag)}` })];
    if (json) world.out(jsonLine({ snapshots }));
    else if (quiet) world.out(snapshots.map((snapshot) => `${oneLine(String(snapshot.tag))}\n`).join(''));
    else world.out(snapshotTable(snapshots));
    return EXIT.done;
  });
}

type Snapshot = Readonly<Record<string, unknown>>;

const COLUMNS: readonly (readonly [title: string, textOf: (snapshot: Snapshot) => string | null])[] = [
  ['TAG', ({ tag }) => stringOf(tag)],
  ['DATE', ({ date }) => timeOf(date)],
  ['VM STATE', (snapshot) => sizeOf(snapshot['vm-state-size'])],
  ['RAM', (snapshot) => sizeOf(snapshot['ram-size'])],
  ['VCPUS', ({ vcpus }) => (numberOf(vcpus) === null ? null : String(vcpus))],
  ['VM CLOCK', (snapshot) => clockOf(snapshot['vm-clock'])],
  ['NODES', ({ nodes }) => namesOf(nodes)],
  ['REMARKS', remarksOn],
];

/** A table with one line for each snapshot. A value that the service does not give is a dash. */
export function snapshotTable(snapshots: readonly Snapshot[]): string {
  const rows = snapshots.map((snapshot) => COLUMNS.map(([, textOf]) => textOf(snapshot)));
  return table(
    COLUMNS.map(([title]) => title),
    rows,
  );
}

function sizeOf(value: unknown): string | null {
  const bytes = numberOf(value);
  return bytes === null ? null : sizeText(bytes);
}

function clockOf(value: unknown): string | null {
  const nanoseconds = numberOf(value);
  return nanoseconds === null ? null : clockText(nanoseconds / 1e6);
}

function namesOf(value: unknown): string | null {
  if (!Array.isArray(value)) return null;
  const names = value.map((node) => (isRecord(node) ? node.name : node)).filter((name) => typeof name === 'string');
  return names.length === 0 ? null : names.join(',');
}

/** Properties that a user has to know before relying on the snapshot; empty if there are none. */
function remarksOn(snapshot: Snapshot): string {
  const expiry = timeOf(snapshot['expires-at']);
  const remarks = [
    snapshot.vmstate === null ? 'disks only' : '',
    snapshot.consistent === false ? 'inconsistent' : '',
    snapshot['has-digests'] === false ? 'without digests' : '',
    expiry === null ? '' : `until ${expiry}`,
    stringOf(snapshot.description) ?? '',
  ];
  return remarks.filter((remark) => remark !== '').join(', ');
}
