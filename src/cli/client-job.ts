import { Failure, unexpectedAnswer } from './client-failure.ts';
import { EXIT } from './exit-status.ts';
import { isRecord, numberOf } from './json-values.ts';

/* A job as the service shows it, as far as the client looks into it. */

export type JobError = { readonly code: string | null; readonly detail: string };

export type Job = {
  readonly id: string;
  /** Tells it from other jobs that had its id. */
  readonly createdAt: unknown;
  readonly status: string;
  /** True from when nothing of it will change. */
  readonly isConcluded: boolean;
  /** True if it concluded and did what it was to do. */
  readonly isCompleted: boolean;
  /** Null while it runs. */
  readonly outcome: string | null;
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly error: JobError | null;
  readonly warnings: readonly string[];
  /** All that the service said, to be passed on. */
  readonly raw: Readonly<Record<string, unknown>>;
};

/** States of a job whose work is over. */
const ENDED: ReadonlySet<string> = new Set(['concluded', 'null']);

/** @throws Failure if the value is no job. */
export function decodeJob(value: unknown): Job {
  if (!isRecord(value)) throw unexpectedAnswer('a job was asked for');
  const { id, status, outcome = null, warnings = [] } = value;
  const doneBytes = numberOf(value['current-progress']);
  const totalBytes = numberOf(value['total-progress']);
  if (typeof id !== 'string' || typeof status !== 'string') throw unexpectedAnswer('the job has no id or status');
  if (doneBytes === null || totalBytes === null) throw unexpectedAnswer(`job ${id} has no progress`);
  if (outcome !== null && typeof outcome !== 'string') throw unexpectedAnswer(`job ${id} has a broken outcome`);
  const isConcluded = ENDED.has(status);
  // Only a job that says so has completed: in doubt it has not.
  const error = errorOf(value);
  const isCompleted = isConcluded && outcome === 'completed' && error === null;
  const about = { error, warnings: Array.isArray(warnings) ? warnings.map(String) : [] };
  const createdAt = value['created-at'];
  return { id, createdAt, status, isConcluded, isCompleted, outcome, doneBytes, totalBytes, ...about, raw: value };
}

/** @throws Failure if it is another job, which has the id now. */
export function sameJob(first: Job, now: Job): Job {
  if (now.createdAt === first.createdAt) return now;
  throw new Failure(EXIT.unreachable, `job ${first.id} is another one by now, made at ${String(now.createdAt)}`);
}

function errorOf({ error, 'error-code': code }: Readonly<Record<string, unknown>>): JobError | null {
  if (error === undefined && code === undefined) return null;
  return { code: typeof code === 'string' ? code : null, detail: String(error ?? code) };
}
