import { decodeJob } from '../client-job.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { numberOf } from '../json-values.ts';
import { durationText, oneLine, sizeText } from '../output/plain-text.ts';
import { table } from '../table.ts';
import type { World } from '../world.ts';
import { type Common, guarded, jsonLine } from './service-command.ts';

/* jobs: what runs and what ended, and the verbs of a job. */

export const JOB_VERBS = ['cancel', 'pause', 'resume', 'finalize', 'complete', 'dismiss'] as const;
export type JobVerb = (typeof JOB_VERBS)[number];

type Entry = Readonly<Record<string, unknown>>;

export function runJobsCommand(
  command: Common & { readonly history: boolean; readonly quiet: boolean },
  world: World,
): Promise<ExitStatus> {
  const { history, quiet, json } = command;
  return guarded({ ...command, what: 'listing jobs' }, world, async (client) => {
    const jobs = await client.pages(history ? '/jobs/history' : '/jobs', 'jobs');
    if (json) world.out(jsonLine({ jobs }));
    else if (quiet) world.out(jobs.map(({ id }) => `${oneLine(String(id))}\n`).join(''));
    else world.out(table(TITLES, jobs.map(rowOf)));
    return EXIT.done;
  });
}

export function runShowJobCommand(command: Common & { readonly id: string }, world: World): Promise<ExitStatus> {
  const { id, json } = command;
  return guarded({ ...command, what: `job ${id}` }, world, async (client) => {
    const job = await client.record({ method: 'GET', path: `/jobs/${encodeURIComponent(id)}` });
    world.out(json ? jsonLine(job) : detailsOf(job));
    return EXIT.done;
  });
}

/** Asks for it and says how the job is then; nothing is waited for. */
export function runJobVerbCommand(
  command: Common & { readonly id: string; readonly verb: JobVerb },
  world: World,
): Promise<ExitStatus> {
  const { id, verb, json } = command;
  return guarded({ ...command, what: `job ${id}: ${verb}` }, world, async (client) => {
    const raw = await client.record({ method: 'POST', path: `/jobs/${encodeURIComponent(id)}/${verb}` });
    const job = decodeJob(raw);
    const outcome = job.outcome === null ? '' : `, ${job.outcome}`;
    world.out(json ? jsonLine(raw) : `${oneLine(`job ${job.id}: ${job.status}${outcome}`)}\n`);
    return EXIT.done;
  });
}

const TITLES = ['ID', 'TYPE', 'STATUS', 'OUTCOME', 'DONE', 'TOOK', 'STARTED', 'ERROR'];

function rowOf(job: Entry): (string | null)[] {
  const duration = numberOf(job.duration);
  const started = textOf(job['started-at']);
  return [
    textOf(job.id),
    textOf(job.type),
    textOf(job.status),
    textOf(job.outcome),
    progressOf(job),
    duration === null ? null : durationText(duration),
    started === null ? null : started.replace(/\.\d+Z$/, 'Z'),
    textOf(job['error-code']),
  ];
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function progressOf(job: Entry): string | null {
  const [done, total] = [numberOf(job['current-progress']), numberOf(job['total-progress'])];
  if (done === null || total === null || total <= 0) return null;
  return `${Math.floor(Math.min(done / total, 1) * 100)} %`;
}

/** A line a member, as the service gives them. */
function detailsOf(job: Entry): string {
  const lines = Object.entries(job).map(([name, value]) => {
    const bytes = name.endsWith('-progress') ? numberOf(value) : null;
    return `${name}: ${bytes === null ? plain(value) : sizeText(bytes)}`;
  });
  return lines.map((line) => `${oneLine(line)}\n`).join('');
}

function plain(value: unknown): string {
  if (value === null) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
