import assert from 'node:assert';
import { DomainError } from '../errors.ts';

/**
 * The lifecycle of a job, as in QEMU's job layer.
 *
 * - created: waits for its resources. A cancel leads to aborting.
 * - running: the work runs. It leads to waiting (success), aborting (failure), paused or ready.
 * - paused: the work was asked to pause. A resume, a cancel or the end of the work leads to running.
 * - ready: the work can end, and waits for the verb complete.
 * - standby: ready, and paused.
 * - waiting: the work is done. Followed immediately by pending, because a job here waits for no other.
 * - pending: waits to be finalized; a job that finalizes automatically does not wait.
 * - aborting: the job failed or was cancelled, and its changes are undone. Followed immediately by concluded.
 * - concluded: ended, and listed until it is dismissed.
 * - null: dismissed. Published once; then the job is not listed any more.
 */
export const JOB_TRANSITIONS: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  created: ['running', 'aborting', 'null'],
  running: ['paused', 'ready', 'waiting', 'aborting'],
  paused: ['running'],
  ready: ['standby', 'waiting', 'aborting'],
  standby: ['ready'],
  waiting: ['pending', 'aborting'],
  pending: ['aborting', 'concluded'],
  aborting: ['aborting', 'concluded'],
  concluded: ['null'],
  null: [],
};

/** The verbs that a user may apply to a job. */
export const JOB_VERBS = ['cancel', 'pause', 'resume', 'complete', 'finalize', 'dismiss'] as const;
export type JobVerb = (typeof JOB_VERBS)[number];

const UNTIL_STANDBY: readonly JobStatus[] = ['created', 'running', 'paused', 'ready', 'standby'];

/** The states that allow each verb. */
export const JOB_VERB_STATES: Readonly<Record<JobVerb, readonly JobStatus[]>> = {
  cancel: [...UNTIL_STANDBY, 'waiting', 'pending'],
  pause: UNTIL_STANDBY,
  resume: UNTIL_STANDBY,
  complete: ['ready', 'standby'],
  finalize: ['pending'],
  dismiss: ['concluded'],
};

/** @returns `to`. @throws AssertionError if the table does not allow the step, which is a bug of the caller. */
export function transition(from: JobStatus, to: JobStatus): JobStatus {
  assert(JOB_TRANSITIONS[from].includes(to), `job state ${from} does not lead to ${to}`);
  return to;
}

/** JobStatus of the QAPI schema without `undefined`, which no visible job has. */
export const JOB_STATUSES = [
  'created',
  'running',
  'paused',
  'ready',
  'standby',
  'waiting',
  'pending',
  'aborting',
  'concluded',
  'null',
] as const;

export type JobStatus = (typeof JOB_STATUSES)[number];

/** The outcomes of a job. */
export const JOB_OUTCOMES = ['completed', 'failed', 'cancelled'] as const;
export type JobOutcome = (typeof JOB_OUTCOMES)[number];

/** True if the job does not change any more. */
export function isConcluded(status: JobStatus): boolean {
  return status === 'concluded' || status === 'null';
}

type Named = { readonly id: string; readonly status: JobStatus };

/** The error of work that was cancelled. */
export function jobCancelled(): DomainError {
  return new DomainError('job_cancelled', 'The job was cancelled.');
}

/** @param why The reason, if it is not the state. */
export function verbNotAllowed({ id, status }: Named, verb: JobVerb, why?: string): DomainError {
  const reason = why ?? `only a job in ${listOf(JOB_VERB_STATES[verb])} can be told to ${verb}`;
  return new DomainError('job_verb_not_allowed', `Job '${id}' in state '${status}' does not take ${verb}: ${reason}.`);
}

export function notCancellable({ id, status }: Named): DomainError {
  const detail = `Job '${id}' in state '${status}' is past its last moment for a cancel, and goes to its end.`;
  return new DomainError('job_not_cancellable', detail);
}

/**
 * The stored form of an error that work rejected with. An unexpected error is reported, and gets the code job_failed.
 */
export function errorOf(thrown: unknown, report: (error: unknown) => void): JobError {
  if (thrown instanceof DomainError) return { code: thrown.code, message: thrown.message };
  const { code, message } = (thrown ?? {}) as Partial<JobError>;
  if (!(thrown instanceof Error) && typeof code === 'string' && typeof message === 'string') return { code, message };
  report(thrown);
  const what = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: 'job_failed', message: `The work failed in a way that was not foreseen: ${what}` };
}

function listOf(states: readonly JobStatus[]): string {
  return states.map((state) => `'${state}'`).join(', ');
}

/** The reason why a job did not complete. */
export type JobError = { readonly code: string; readonly message: string };

/** Largest number of warnings of a job; the last one says that there were more. */
const WARNINGS_MAX = 100;
const MORE_WARNINGS = 'There were more warnings.';

/** The warnings of a job with one more, up to the largest number. */
export function withWarning(warnings: readonly string[], text: string): readonly string[] {
  if (warnings.length === WARNINGS_MAX) return warnings;
  return [...warnings, warnings.length === WARNINGS_MAX - 1 ? MORE_WARNINGS : text];
}
