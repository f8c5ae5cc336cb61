/**
 * Run states of the machine (RunState of the QAPI schema, those that vmferry reaches).
 *
 * - prelaunch: started with --paused; never ran.
 * - inmigrate: waiting for, or loading, an incoming migration.
 * - running / paused: the guest runs, or an operator stopped it.
 * - finish-migrate: stopped by a migration that is completing.
 * - postmigrate: the guest left; it runs on the target. `cont` takes it back.
 * - guest-panicked: the guest's self-check failed, or it stopped itself.
 * - internal-error: the machine cannot go on (a vCPU thread died).
 */
export const RUN_STATES = [
  'prelaunch',
  'inmigrate',
  'running',
  'paused',
  'finish-migrate',
  'postmigrate',
  'guest-panicked',
  'internal-error',
] as const;
export type RunState = (typeof RUN_STATES)[number];

export const RUN_STATE_TRANSITIONS: Readonly<Record<RunState, readonly RunState[]>> = {
  prelaunch: ['running', 'paused', 'finish-migrate', 'postmigrate', 'inmigrate', 'internal-error'],
  inmigrate: ['running', 'paused', 'postmigrate', 'guest-panicked', 'internal-error'],
  running: ['paused', 'finish-migrate', 'guest-panicked', 'internal-error'],
  paused: ['running', 'finish-migrate', 'postmigrate', 'guest-panicked', 'internal-error'],
  'finish-migrate': ['running', 'paused', 'prelaunch', 'postmigrate', 'guest-panicked', 'internal-error'],
  postmigrate: ['running', 'paused', 'internal-error'],
  'guest-panicked': ['paused', 'finish-migrate', 'postmigrate', 'internal-error'],
  'internal-error': [],
};
