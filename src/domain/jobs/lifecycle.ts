import assert from 'node:assert';
import type { JobStatus } from './status.ts';

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
