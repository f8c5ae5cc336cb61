import type { Failure } from '../client-failure.ts';
import type { Job } from '../client-job.ts';
import { failureObject, jsonLine } from '../commands/service-command.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { compactionRemark, damageOf, verifyRemark, workedBytes } from '../findings.ts';
import { JobProgress } from '../job-progress.ts';
import type { Verb } from '../service-client.ts';
import type { Ending } from '../work-follower.ts';
import type { World } from '../world.ts';
import { durationText, oneLine, sizeText } from './plain-text.ts';
import { createProgress, LINE_MS_MIN, type Progress, progressStyle } from './progress-display.ts';

/* What a job command says: to people, or to programs as a JSON object a line. */

export type JobOutput = Pick<Progress, 'note' | 'end'> & {
  report(job: Job): void;
  /** An earlier request with the same key began it, and this one nothing. */
  replayed(job: Job): void;
  /** The service took the job, and nobody waits for it. */
  accepted(job: Job): void;
  /** The last word on a job that was followed. */
  result(ending: Ending<Job>, about: { readonly exitStatus: ExitStatus; readonly durationMs: number }): void;
  /** The last word if there is no job, or nothing is known of it. */
  failure(failure: Failure): void;
};

export type OutputOptions = {
  readonly verb: Verb;
  readonly tag: string | null;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly world: World;
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
    const { verb, tag, quiet, world } = options;
    this.#options = options;
    this.#doing = `${DOING[verb]} ${workedOn(tag)}`;
    this.#progress = createProgress({ style: progressStyle(world, quiet), label: this.#doing, world });
    this.#figures = new JobProgress();
  }

  report(job: Job): void {
    this.#progress.show(this.#figures.shown(job, this.#options.world.clock.nowMs()));
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
    const { quiet, world } = this.#options;
    world.out(quiet ? `${job.id}\n` : `${this.#doing}: job ${job.id} was accepted\n`);
  }

  result({ last: job, stop }: Ending<Job>, { exitStatus, durationMs }: Parameters<JobOutput['result']>[1]): void {
    this.end();
    for (const warning of job.warnings) this.#complain(`warning: ${warning}`);
    for (const place of damageOf(job)) this.#complain(place);
    if (exitStatus === EXIT.done) this.#succeeded(job, durationMs);
    else if (stop === null) this.#complain(endedBadly(job));
    else if (stop === 'timeout') this.#complain(`not done after ${durationText(durationMs)}: ${standing(job)}`);
    else this.#complain(`interrupted: ${standing(job)}`);
  }

  failure(failure: Failure): void {
    this.end();
    this.#complain(failure.message);
  }

  #succeeded(job: Job, durationMs: number): void {
    const { verb, tag, quiet, world } = this.#options;
    if (quiet) {
      if (verb === 'save') world.out(`${tag}\n`);
      return;
    }
    const bytes = workedBytes(verb, job);
    const size = bytes === null ? '' : `${sizeText(bytes)} in `;
    const remark = `${verifyRemark(job)}${compactionRemark(job)}`;
    world.out(`${DONE[verb]} ${workedOn(tag)}: ${size}${durationText(durationMs)}${remark}\n`);
  }

  #complain(text: string): void {
    this.#options.world.err(`vmferry: ${this.#doing}: ${oneLine(text)}\n`);
  }
}

function workedOn(tag: string | null): string {
  return tag === null ? 'images' : oneLine(tag);
}

function endedBadly({ id, outcome, error }: Job): string {
  const how = outcome === 'cancelled' ? 'was cancelled' : 'failed';
  if (error === null) return `job ${id} ${how}`;
  return `${how}${error.code === null ? '' : ` (${error.code})`}: ${error.detail}`;
}

/** What is said when a request began nothing, since an earlier one with its key did. */
export function replayedNote(what: 'job' | 'migration', id: string): string {
  return `an earlier request with the same key began ${what} ${id}; this request began nothing`;
}

/** Where a job stands whose end was not awaited, or came another way. */
function standing(job: Job): string {
  if (!job.isConcluded) return `job ${job.id} still runs (${job.status})`;
  return job.isCompleted ? `job ${job.id} had completed already` : endedBadly(job);
}

/** Everything on standard output, so that a program reads one stream; the last line always has `exit-status`. */
class JsonOutput implements JobOutput {
  readonly #options: OutputOptions;
  #last = '';
  #wasReplayed = false;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  report(job: Job): void {
    const { quiet, world } = this.#options;
    const now = world.clock.nowMs();
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
    this.#options.world.out(jsonLine(value));
  }
}
