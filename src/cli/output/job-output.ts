import { EXIT, type ExitStatus, type Failure, failureObject } from '../client-failure.ts';
import { type Job, JobProgress } from '../client-work.ts';
import type { CommandIo } from '../command-io.ts';
import { isRecord, jsonLine, numberOf } from '../json-values.ts';
import type { Verb } from '../service-client.ts';
import type { Ending, WorkOutput } from '../work-follower.ts';
import { durationText, oneLine, sizeText } from './plain-text.ts';
import { createProgress, LINE_MS_MIN, type Progress, progressStyle } from './progress-display.ts';

/* Output of `vmferry snapshot`: text for people, or with --json one JSON object on each line. */

export type JobOutput = WorkOutput<Job> & {
  /** The end of a job that was followed. */
  result(ending: Ending<Job>, about: { readonly exitStatus: ExitStatus; readonly durationMs: number }): void;
};

export type OutputOptions = {
  readonly verb: Verb;
  readonly tag: string | null;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly io: CommandIo;
};

export function createJobOutput(options: OutputOptions): JobOutput {
  return options.json ? new JsonOutput(options) : new HumanOutput(options);
}

const DOING: Readonly<Record<Verb, string>> = {
  save: 'saving',
  load: 'loading',
  delete: 'deleting',
  verify: 'verifying',
  compact: 'compacting',
};
const DONE: Readonly<Record<Verb, string>> = {
  save: 'saved',
  load: 'loaded',
  delete: 'deleted',
  verify: 'verified',
  compact: 'compacted',
};

class HumanOutput implements JobOutput {
  readonly #options: OutputOptions;
  readonly #doing: string;
  readonly #progress: Progress;
  readonly #figures: JobProgress;

  constructor(options: OutputOptions) {
    const { verb, tag, quiet, io } = options;
    this.#options = options;
    this.#doing = `${DOING[verb]} ${workedOn(tag)}`;
    this.#progress = createProgress({ style: progressStyle(io, quiet), label: this.#doing, io });
    this.#figures = new JobProgress();
  }

  report(job: Job): void {
    this.#progress.show(this.#figures.shown(job, this.#options.io.clock.nowMs()));
  }

  note(text: string): void {
    if (!this.#options.quiet) this.#progress.note(text);
  }

  replayed({ id }: Job): void {
    this.note(replayedNote('job', id));
  }

  end(): void {
    this.#progress.end();
  }

  accepted(job: Job): void {
    this.end();
    const { quiet, io } = this.#options;
    io.out(quiet ? `${job.id}\n` : `${this.#doing}: job ${job.id} was accepted\n`);
  }

  result({ last: job, stop }: Ending<Job>, { exitStatus, durationMs }: Parameters<JobOutput['result']>[1]): void {
    this.end();
    for (const warning of job.warnings) this.#printError(`warning: ${warning}`);
    for (const place of damageOf(job)) this.#printError(place);
    if (exitStatus === EXIT.done) this.#succeeded(job, durationMs);
    else if (stop === null) this.#printError(endedBadly(job));
    else if (stop === 'timeout') this.#printError(`not done after ${durationText(durationMs)}: ${standing(job)}`);
    else this.#printError(`interrupted: ${standing(job)}`);
  }

  failure(failure: Failure): void {
    this.end();
    this.#printError(failure.message);
  }

  #succeeded(job: Job, durationMs: number): void {
    const { verb, tag, quiet, io } = this.#options;
    if (quiet) {
      if (verb === 'save') io.out(`${tag}\n`);
      return;
    }
    const bytes = workedBytes(verb, job);
    const size = bytes === null ? '' : `${sizeText(bytes)} in `;
    const remark = `${verifyRemark(job)}${compactionRemark(job)}`;
    io.out(`${DONE[verb]} ${workedOn(tag)}: ${size}${durationText(durationMs)}${remark}\n`);
  }

  #printError(text: string): void {
    this.#options.io.err(`vmferry: ${this.#doing}: ${oneLine(text)}\n`);
  }
}

/** Object of the work in messages: the tag, or `images`. */
function workedOn(tag: string | null): string {
  return tag === null ? 'images' : oneLine(tag);
}

/** Outcome of a job that did not complete. */
function endedBadly({ id, outcome, error }: Job): string {
  const verb = outcome === 'cancelled' ? 'was cancelled' : 'failed';
  if (error === null) return `job ${id} ${verb}`;
  return `${verb}${error.code === null ? '' : ` (${error.code})`}: ${error.detail}`;
}

/** Note for a request that started nothing, since an earlier request with the same key did. */
export function replayedNote(kind: 'job' | 'migration', id: string): string {
  return `an earlier request with the same key started ${kind} ${id}; this request started nothing`;
}

/** State of a job that the command stopped waiting for. */
function standing(job: Job): string {
  if (!job.isConcluded) return `job ${job.id} still runs (${job.status})`;
  return job.isCompleted ? `job ${job.id} had completed already` : endedBadly(job);
}

/** Writes everything to standard output, so that a program reads one stream. The last line has `exit-status`. */
class JsonOutput implements JobOutput {
  readonly #options: OutputOptions;
  #last = '';
  #wasReplayed = false;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  report(job: Job): void {
    const { quiet, io } = this.#options;
    const now = io.clock.nowMs();
    const text = JSON.stringify(job.raw);
    if (quiet || job.isConcluded || now < this.#nextMs || text === this.#last) return;
    this.#last = text;
    this.#nextMs = now + LINE_MS_MIN;
    this.#line({ type: 'progress', job: job.raw });
  }

  note(text: string): void {
    if (!this.#options.quiet) this.#line({ type: 'note', detail: text });
  }

  replayed({ id }: Job): void {
    this.#wasReplayed = true;
    this.note(replayedNote('job', id));
  }

  end(): void {}

  accepted(job: Job): void {
    const { tag } = this.#options;
    const replayed = this.#wasReplayed;
    this.#line({ type: 'result', 'exit-status': EXIT.done, outcome: 'accepted', replayed, tag, job: job.raw });
  }

  result({ last: job, stop }: Ending<Job>, { exitStatus }: Parameters<JobOutput['result']>[1]): void {
    const outcome = job.isCompleted ? 'completed' : job.isConcluded ? (job.outcome ?? 'failed') : 'running';
    const { tag } = this.#options;
    const replayed = this.#wasReplayed;
    this.#line({ type: 'result', 'exit-status': exitStatus, outcome, stopped: stop, replayed, tag, job: job.raw });
  }

  failure(failure: Failure): void {
    this.#line(failureObject(failure));
  }

  #line(value: object): void {
    this.#options.io.out(jsonLine(value));
  }
}

/** A sentence for each damaged place that a verify or a load found, with its place in the machine and in the image file. */
export function damageOf({ raw: { result } }: Job): string[] {
  const damage = isRecord(result) && Array.isArray(result.damage) ? result.damage : [];
  return damage.filter(isRecord).map((place) => {
    const area = typeof place['ram-block'] === 'string' ? `RAM block ${place['ram-block']}` : AREAS[String(place.area)];
    const inFile = numberOf(place['file-offset']);
    const file = inFile === null ? '' : ` (byte ${inFile} of the image file)`;
    return `damaged: node ${place.node}: ${area ?? place.area}: ${figure(place.bytes)} bytes at ${figure(place.offset)}${file}`;
  });
}

const AREAS: Readonly<Record<string, string>> = {
  'vm-state': 'device state',
  disk: 'disk',
  metadata: 'tables of the image',
};

/** Bytes that were saved, loaded or checked; null for other work. */
export function workedBytes(verb: Verb, { doneBytes, raw: { result } }: Job): number | null {
  if (verb === 'delete' || verb === 'compact') return null;
  const figures = isRecord(result) ? result : {};
  return numberOf(figures['vm-state-size']) ?? numberOf(figures['checked-bytes']) ?? doneBytes;
}

/** Remark on a snapshot that was verified without digests; empty if it had digests. */
export function verifyRemark({ raw: { result } }: Job): string {
  const hadNoDigests = isRecord(result) && result['had-digests'] === false;
  return hadNoDigests ? ', its structure only, since no digests were kept with it' : '';
}

/** Sizes of each compacted image file, before and after; empty for other jobs. */
export function compactionRemark({ raw: { type, result } }: Job): string {
  if (type !== 'snapshot-compact' || !isRecord(result) || !Array.isArray(result.nodes)) return '';
  return result.nodes
    .filter(isRecord)
    .map(({ name: node, ...sizes }) => {
      const change = (name: string) => `${size(sizes[`${name}-before`])} to ${size(sizes[name])}`;
      return `\n  ${node}: file ${change('file-size')}, on disk ${change('disk-usage')}`;
    })
    .join('');
}

function size(value: unknown): string {
  const bytes = numberOf(value);
  return bytes === null ? '?' : sizeText(bytes);
}

function figure(value: unknown): string {
  return String(numberOf(value) ?? '?');
}
