import { EXIT, type ExitStatus } from '../client-failure.ts';
import { sameJob } from '../client-work.ts';
import type { CommandIo } from '../command-io.ts';
import { isRecord, jsonLine, numberOf, stringOf, timeOf } from '../json-values.ts';
import { createJobOutput } from '../output/job-output.ts';
import { clockText, oneLine, sizeText, table } from '../output/plain-text.ts';
import { type JobRequest, type Service, ServiceClient, type Verb } from '../service-client.ts';
import { startAndFollow, type Waiting, withOutput } from '../work-follower.ts';
import { type Common, withClient } from './run-reported.ts';

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
export async function runJobCommand(command: JobCommand, io: CommandIo): Promise<ExitStatus> {
  const { verb, tag, request, json, quiet, service } = command;
  const output = createJobOutput({ verb, tag, json, quiet, io });
  const client = new ServiceClient(service, null);
  const startedMs = io.clock.nowMs();
  return await withOutput(output, () =>
    startAndFollow({
      waiting: command,
      io,
      output,
      nameOf: ({ id }) => `job ${id}`,
      send: (key) => client.start(verb, tag, request, key),
      look: async (job, deadlineMs) => sameJob(job, await client.job(job.id, deadlineMs)),
      cancel: ({ id }) => client.cancelJob(id),
      wake: null,
      result: (ending, exitStatus) => {
        output.result(ending, { exitStatus, durationMs: io.clock.nowMs() - startedMs });
        return exitStatus;
      },
    }),
  );
}

export type ListCommand = Common & {
  /** Tag of the only snapshot that is printed; null: all. */
  readonly tag: string | null;
  readonly quiet: boolean;
};

/** Prints snapshots as a table, as tags alone, or as one JSON document. */
export function runListCommand(command: ListCommand, io: CommandIo): Promise<ExitStatus> {
  const { tag, json, quiet } = command;
  const operation = tag === null ? 'listing snapshots' : `listing ${tag}`;
  return withClient({ ...command, operation }, io, async (client) => {
    const snapshots =
      tag === null
        ? await client.pages('/snapshots', 'snapshots')
        : [await client.record({ method: 'GET', path: `/snapshots/${encodeURIComponent(tag)}` })];
    if (json) io.out(jsonLine({ snapshots }));
    else if (quiet) io.out(snapshots.map((snapshot) => `${oneLine(String(snapshot.tag))}\n`).join(''));
    else io.out(snapshotTable(snapshots));
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
