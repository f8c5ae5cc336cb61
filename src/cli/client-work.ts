import { EXIT, Failure, unexpectedAnswer } from './client-failure.ts';
import { isRecord, numberOf } from './json-values.ts';
import { clockText, sizeText } from './output/plain-text.ts';
import type { Figure, Shown } from './output/progress-display.ts';

/* Jobs and migrations: the members of the service's answers that the client uses, and the progress that it displays. */

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
const JOB_ENDED: ReadonlySet<string> = new Set(['concluded', 'null']);

/** Decodes a job. @throws Failure if the value is not a job */
export function decodeJob(value: unknown): Job {
  if (!isRecord(value)) throw unexpectedAnswer('it is not a job');
  const { id, status, outcome = null, warnings = [] } = value;
  const doneBytes = numberOf(value['current-progress']);
  const totalBytes = numberOf(value['total-progress']);
  if (typeof id !== 'string' || typeof status !== 'string') throw unexpectedAnswer('the job has no id or status');
  if (doneBytes === null || totalBytes === null) throw unexpectedAnswer(`job ${id} has no progress`);
  if (outcome !== null && typeof outcome !== 'string') throw unexpectedAnswer(`job ${id} has an invalid outcome`);
  const isConcluded = JOB_ENDED.has(status);
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

export type Figures = Readonly<Record<string, unknown>>;

export type Migration = {
  readonly id: string;
  readonly uri: string;
  readonly status: string;
  /** True once the migration no longer changes. */
  readonly isConcluded: boolean;
  readonly isCompleted: boolean;
  /** Final status; null while the migration runs. */
  readonly outcome: string | null;
  readonly error: { readonly code: string; readonly detail: string } | null;
  /** Side that has the guest after the end: `here`, `there`, `there, unconfirmed`, `unknown`; null before the end. */
  readonly guest: string | null;
  /** Remark of the service on a migration that did not fail. */
  readonly note: string | null;
  /** Answer of `GET /migrate/progress`; null after the end, or if it belongs to another migration. */
  readonly progress: Figures | null;
  /** The whole answer of the service, for --json. */
  readonly raw: Figures;
};

/** Statuses of migrations that have ended. */
const MIGRATION_ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled']);

/** Decodes a migration. @throws Failure if the value is not a migration */
export function decodeMigration(value: unknown, progress: Figures | null = null): Migration {
  if (!isRecord(value)) throw unexpectedAnswer('it is not a migration');
  const { id, uri, status, error = null, guest = null, note = null } = value;
  if (typeof id !== 'string' || typeof status !== 'string') throw unexpectedAnswer('the migration has no id or status');
  const isConcluded = MIGRATION_ENDED.has(status);
  return {
    id,
    uri: typeof uri === 'string' ? uri : '',
    status,
    isConcluded,
    isCompleted: status === 'completed',
    outcome: isConcluded ? status : null,
    error: isRecord(error) ? { code: String(error.code), detail: String(error.desc ?? '') } : null,
    guest: typeof guest === 'string' ? guest : null,
    note: typeof note === 'string' ? note : null,
    progress: isConcluded ? null : progress,
    raw: value,
  };
}

/** A panic of the guest, as `GET /machine` shows it. */
export type Panic = { readonly kind: string; readonly detail: string };

/** The panic in an answer of `GET /machine`. */
export function panicOf({ panic = null }: Figures): Panic | null {
  if (panic === null) return null;
  const { kind = 'unknown', detail = '' } = isRecord(panic) ? panic : { kind: panic };
  return { kind: String(kind), detail: String(detail) };
}

/** The displayed progress: pass, rate, remaining bytes, expected downtime and time to go. */
export function shownMigration({ status, progress, isConcluded }: Migration): Shown {
  if (progress === null) return { state: status, status, fraction: null, figures: [], isOver: isConcluded };
  const figure = (name: string): number => numberOf(progress[name]) ?? 0;
  const percent = figure('first-pass-percent');
  const pass = figure('pass');
  const figures =
    pass === 0
      ? []
      : [
          { text: `${Math.floor(percent)} %`, rank: 0 },
          { text: `pass ${pass}`, rank: 3 },
          { text: `${sizeText(Math.round(figure('rate')))}/s`, rank: 1 },
          { text: `${sizeText(figure('remaining'))} left`, rank: 2 },
          { text: `downtime ${Math.round(figure('expected-downtime'))} ms`, rank: 4 },
          { text: timeToGo(progress), rank: 0 },
        ];
  return {
    state: [status, pass, percent, figure('remaining')].join(' '),
    status,
    fraction: pass === 0 ? null : Math.min(percent / 100, 1),
    figures,
    isOver: isConcluded,
  };
}

/** `0:05 to go`, `0:05 to 0:20 to go` or `time to go unknown`. */
export function timeToGo(progress: Figures): string {
  const range = progress['time-to-go'];
  const [min, max] = isRecord(range) ? [numberOf(range.min), numberOf(range.max)] : [null, null];
  if (min === null || max === null) return 'time to go unknown';
  const [from, to] = [clockText(min), clockText(max)];
  return from === to ? `${from} to go` : `${from} to ${to} to go`;
}

/** The service's verdict on the convergence of the migration, with its reason; null if there is none. */
export function verdictOf(progress: Figures | null): { readonly verdict: string; readonly reason: string } | null {
  const value = progress?.verdict;
  if (!isRecord(value) || typeof value.verdict !== 'string') return null;
  return { verdict: value.verdict, reason: String(value.reason ?? '') };
}
