import { isRecord, numberOf } from './exact-json.ts';
import { unexpectedAnswer } from './failure.ts';

/* A job as the service shows it, as far as the client looks into it. */

export type JobError = { readonly code: string | null; readonly detail: string };

export type Job = {
  readonly id: string;
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
  const { id, status, outcome = null, warnings = [], error = null } = value;
  const doneBytes = numberOf(value['current-progress']);
  const totalBytes = numberOf(value['total-progress']);
  if (typeof id !== 'string' || typeof status !== 'string') throw unexpectedAnswer('the job has no id or status');
  if (doneBytes === null || totalBytes === null) throw unexpectedAnswer(`job ${id} has no progress`);
  if (outcome !== null && typeof outcome !== 'string') throw unexpectedAnswer(`job ${id} has a broken outcome`);
  const isConcluded = ENDED.has(status);
  // Only a job that says so has completed: in doubt it has not.
  const isCompleted = isConcluded && outcome === 'completed' && error === null;
  const texts = Array.isArray(warnings) ? warnings.map(textOf) : [];
  const about = { error: error === null ? null : decodeError(error), warnings: texts };
  return { id, status, isConcluded, isCompleted, outcome, doneBytes, totalBytes, ...about, raw: value };
}

function decodeError(value: unknown): JobError {
  if (!isRecord(value)) return { code: null, detail: String(value) };
  return { code: typeof value.code === 'string' ? value.code : null, detail: textOf(value) };
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!isRecord(value)) return JSON.stringify(value) ?? '';
  const text = value.detail ?? value.desc ?? value.message;
  return typeof text === 'string' ? text : JSON.stringify(value);
}
