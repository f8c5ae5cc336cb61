import { DomainError } from '../errors.ts';
import { JOB_VERB_STATES, type JobVerb } from './lifecycle.ts';
import type { JobError } from './spec.ts';
import type { JobStatus } from './status.ts';

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
