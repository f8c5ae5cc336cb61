import { EXIT, type ExitStatus } from '../client-failure.ts';
import { decodeJob } from '../client-work.ts';
import type { CommandIo } from '../command-io.ts';
import { jsonLine, numberOf, plainOf, stringOf, timeOf } from '../json-values.ts';
import { durationText, oneLine, sizeText, table } from '../output/plain-text.ts';
import { type Common, withClient } from './run-reported.ts';

/* jobs: the jobs of the service, and the commands that change a job. */

export const JOB_VERBS = ['cancel', 'pause', 'resume', 'finalize', 'complete', 'dismiss'] as const;
export type JobVerb = (typeof JOB_VERBS)[number];

type Entry = Readonly<Record<string, unknown>>;

export function runJobsCommand(
  command: Common & { readonly history: boolean; readonly quiet: boolean },
  io: CommandIo,
): Promise<ExitStatus> {
  const { history, quiet, json } = command;
  return withClient({ ...command, operation: 'listing jobs' }, io, async (client) => {
    const jobs = await client.pages(history ? '/jobs/history' : '/jobs', 'jobs');
    if (json) io.out(jsonLine({ jobs }));
    else if (quiet) io.out(jobs.map(({ id }) => `${oneLine(String(id))}\n`).join(''));
    else io.out(table(TITLES, jobs.map(rowOf)));
    return EXIT.done;
  });
}

export function runShowJobCommand(command: Common & { readonly id: string }, io: CommandIo): Promise<ExitStatus> {
  const { id, json } = command;
  return withClient({ ...command, operation: `job ${id}` }, io, async (client) => {
    const job = await client.record({ method: 'GET', path: `/jobs/${encodeURIComponent(id)}` });
    io.out(json ? jsonLine(job) : detailsOf(job));
    return EXIT.done;
  });
}

/** Applies a verb to a job and prints the state of the job afterwards. Does not wait for the job. */
export function runJobVerbCommand(
  command: Common & { readonly id: string; readonly verb: JobVerb },
  io: CommandIo,
): Promise<ExitStatus> {
  const { id, verb, json } = command;
  return withClient({ ...command, operation: `job ${id}: ${verb}` }, io, async (client) => {
    const raw = await client.record({ method: 'POST', path: `/jobs/${encodeURIComponent(id)}/${verb}` });
    const job = decodeJob(raw);
    const outcome = job.outcome === null ? '' : `, ${job.outcome}`;
    io.out(json ? jsonLine(raw) : `${oneLine(`job ${job.id}: ${job.status}${outcome}`)}\n`);
    return EXIT.done;
  });
}

const TITLES = ['ID', 'TYPE', 'STATUS', 'OUTCOME', 'DONE', 'TOOK', 'STARTED', 'ERROR'];

function rowOf(job: Entry): (string | null)[] {
  const duration = numberOf(job.duration);
  return [
    ...[job.id, job.type, job.status, job.outcome].map(stringOf),
    progressOf(job),
    duration === null ? null : durationText(duration),
    timeOf(job['started-at']),
    stringOf(job['error-code']),
  ];
}

function progressOf(job: Entry): string | null {
  const [done, total] = [numberOf(job['current-progress']), numberOf(job['total-progress'])];
  if (done === null || total === null || total <= 0) return null;
  return `${Math.floor(Math.min(done / total, 1) * 100)} %`;
}

/** One line for each member of the job, in the order of the service. */
function detailsOf(job: Entry): string {
  const lines = Object.entries(job).map(([name, value]) => {
    const bytes = name.endsWith('-progress') ? numberOf(value) : null;
    return `${name}: ${bytes === null ? (value === null ? '-' : plainOf(value)) : sizeText(bytes)}`;
  });
  return lines.map((line) => `${oneLine(line)}\n`).join('');
}
