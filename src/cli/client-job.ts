import { EXIT, Failure, unexpectedAnswer } from './client-failure.ts';
import { isRecord, numberOf } from './json-values.ts';
import { clockText, sizeText } from './output/plain-text.ts';
import type { Figure, Shown } from './output/progress-display.ts';

/* A snapshot job: the members of the service's answer that the client uses, and the progress that it displays. */

export type JobError = { readonly code: string | null; readonly detail: string };

export type Job = {
  readonly id: string;
  /** Distinguishes the job from earlier and later jobs with the same id. */
  readonly createdAt: unknown;
  readonly status: string;
  /** True once the job no longer changes. */
  readonly isConcluded: boolean;
  /** True if the job concluded successfully. */
  readonly isCompleted: boolean;
  /** Null while the job runs. */
  readonly outcome: string | null;
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly error: JobError | null;
  readonly warnings: readonly string[];
  /** The whole answer of the service, for --json. */
  readonly raw: Readonly<Record<string, unknown>>;
};

/** Job states of QEMU's QMP in which the work has ended. */
const ENDED: ReadonlySet<string> = new Set(['concluded', 'null']);

/** Decodes a job. @throws Failure if the value is no job. */
export function decodeJob(value: unknown): Job {
  if (!isRecord(value)) throw unexpectedAnswer('it is no job');
  const { id, status, outcome = null, warnings = [] } = value;
  const doneBytes = numberOf(value['current-progress']);
  const totalBytes = numberOf(value['total-progress']);
  if (typeof id !== 'string' || typeof status !== 'string') throw unexpectedAnswer('the job has no id or status');
  if (doneBytes === null || totalBytes === null) throw unexpectedAnswer(`job ${id} has no progress`);
  if (outcome !== null && typeof outcome !== 'string') throw unexpectedAnswer(`job ${id} has a broken outcome`);
  const isConcluded = ENDED.has(status);
  // A job without a clear outcome counts as not completed.
  const error = errorOf(value);
  const isCompleted = isConcluded && outcome === 'completed' && error === null;
  const about = { error, warnings: Array.isArray(warnings) ? warnings.map(String) : [] };
  const createdAt = value['created-at'];
  return { id, createdAt, status, isConcluded, isCompleted, outcome, doneBytes, totalBytes, ...about, raw: value };
}

/** Checks that an answer is about the same job. @throws Failure if another job has the id now. */
export function sameJob(first: Job, now: Job): Job {
  if (now.createdAt === first.createdAt) return now;
  throw new Failure(EXIT.unreachable, `another job has the id ${first.id} now, created at ${String(now.createdAt)}`);
}

function errorOf({ error, 'error-code': code }: Readonly<Record<string, unknown>>): JobError | null {
  if (error === undefined && code === undefined) return null;
  return { code: typeof code === 'string' ? code : null, detail: String(error ?? code) };
}

/** Computes the displayed progress of a job from successive answers. */
export class JobProgress {
  readonly #rate = new RateMeter();

  shown(job: Job, nowMs: number): Shown {
    const { status, doneBytes, totalBytes, isConcluded } = job;
    this.#rate.add({ atMs: nowMs, bytes: doneBytes });
    return {
      state: `${status} ${doneBytes} ${totalBytes}`,
      status,
      fraction: totalBytes > 0 ? fractionOf(job) : null,
      figures: figuresOf(job, this.#rate),
      isOver: isConcluded,
    };
  }
}

function fractionOf({ doneBytes, totalBytes }: Job): number {
  return Math.min(doneBytes / totalBytes, 1);
}

/** The known figures: `42 %`, `112.0 MiB of 268.4 MiB`, `310.0 MiB/s`, `0:01 left`. */
function figuresOf(job: Job, meter: RateMeter): Figure[] {
  const { doneBytes, totalBytes } = job;
  if (totalBytes <= 0) return [];
  const percent = { text: `${Math.floor(fractionOf(job) * 100)} %`, rank: 0 };
  const rate = meter.bytesPerSecond();
  const figures = [percent, { text: `${sizeText(doneBytes)} of ${sizeText(totalBytes)}`, rank: 2 }];
  if (rate === null || rate <= 0) return figures;
  const leftMs = (Math.max(totalBytes - doneBytes, 0) / rate) * 1000;
  const left = doneBytes < totalBytes ? [{ text: `${clockText(leftMs)} left`, rank: 0 }] : [];
  return [...figures, { text: `${sizeText(rate)}/s`, rank: 1 }, ...left];
}

/** Time over which a rate is measured, in milliseconds. */
const WINDOW_MS = 3000;
/** Minimum time between the first and the last sample of a rate, in milliseconds. */
const SPAN_MS_MIN = 100;
const SAMPLES_MAX = 64;

type Sample = { readonly atMs: number; readonly bytes: number };

/** Measures the rate of a job over the last three seconds. */
export class RateMeter {
  #samples: Sample[] = [];

  add(sample: Sample): void {
    const before = this.#samples.at(-1);
    // A lower count belongs to a new attempt.
    if (before !== undefined && sample.bytes < before.bytes) this.#samples = [];
    this.#samples.push(sample);
    // One sample before the window is kept, so that a slow job has a rate too.
    while (this.#samples.length > SAMPLES_MAX || (this.#samples[1]?.atMs ?? sample.atMs) <= sample.atMs - WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** Bytes per second; null until there are samples over a sufficient time. */
  bytesPerSecond(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.atMs - first.atMs < SPAN_MS_MIN) return null;
    return ((last.bytes - first.bytes) / (last.atMs - first.atMs)) * 1000;
  }
}
