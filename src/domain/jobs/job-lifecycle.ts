import assert from 'node:assert';
import { DomainError } from '../errors.ts';

/**
 * The lifecycle of a job, as QEMU's job layer has it.
 *
 * - created: waits for what it needs. Left when all of it is free, or for aborting by a cancel.
 * - running: the work goes on. Left when it has ended, well (waiting) or not (aborting), is paused, or is ready.
 * - paused: the work was told to stand still. Left for running by a resume, a cancel, or work that had ended anyway.
 * - ready: the work could end, and awaits the word (complete).
 * - standby: ready, and paused.
 * - waiting: the work is done. Left at once for pending, since a job here waits for no other.
 * - pending: waits to be finalized; at once if it finalizes by itself.
 * - aborting: it failed or was cancelled, and nothing it did is left. Left at once for concluded.
 * - concluded: over, kept until it is dismissed.
 * - null: dismissed; told once, and gone.
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

/** What a user may ask of a job. */
export const JOB_VERBS = ['cancel', 'pause', 'resume', 'complete', 'finalize', 'dismiss'] as const;
export type JobVerb = (typeof JOB_VERBS)[number];

const UNTIL_STANDBY: readonly JobStatus[] = ['created', 'running', 'paused', 'ready', 'standby'];

/** In which states each verb is taken. */
export const JOB_VERB_STATES: Readonly<Record<JobVerb, readonly JobStatus[]>> = {
  cancel: [...UNTIL_STANDBY, 'waiting', 'pending'],
  pause: UNTIL_STANDBY,
  resume: UNTIL_STANDBY,
  complete: ['ready', 'standby'],
  finalize: ['pending'],
  dismiss: ['concluded'],
};

/** The state that `from` leads to. @throws AssertionError if the table does not have the step: a fault in the caller. */
export function transition(from: JobStatus, to: JobStatus): JobStatus {
  assert(JOB_TRANSITIONS[from].includes(to), `job state ${from} does not lead to ${to}`);
  return to;
}

/** JobStatus of the QAPI schema, but `undefined`, which no job that can be seen has. */
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

/** What came of a job. */
export const JOB_OUTCOMES = ['completed', 'failed', 'cancelled'] as const;
export type JobOutcome = (typeof JOB_OUTCOMES)[number];

/** True once nothing of the job will change any more. */
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

/** The error that work rejected with, as it is kept. A fault of the program itself is reported, and has a code too. */
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

/** Why a job did not do its work. */
export type JobError = { readonly code: string; readonly message: string };

/** Warnings that a job keeps, at most; the last says that there were more. */
const WARNINGS_MAX = 100;
const MORE_WARNINGS = 'There were more warnings.';

/** The warnings of a job with one more, as far as they are kept. */
export function withWarning(warnings: readonly string[], text: string): readonly string[] {
  if (warnings.length === WARNINGS_MAX) return warnings;
  return [...warnings, warnings.length === WARNINGS_MAX - 1 ? MORE_WARNINGS : text];
}
