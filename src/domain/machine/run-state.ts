/**
 * Run states of the machine (RunState of the QAPI schema, those that vmferry reaches).
 *
 * - prelaunch: started with --paused; never ran.
 * - inmigrate: waiting for, or loading, an incoming migration.
 * - running / paused: the guest runs, or an operator stopped it.
 * - finish-migrate: stopped by a migration that is completing.
 * - save-vm / restore-vm: stopped while a snapshot captures the machine, or is loaded in its place. Entered from any
 *   state, also by a guest that did not run, and left for that state again.
 * - postmigrate: the guest left; it runs on the target. `cont` takes it back; a listener makes it inmigrate.
 * - guest-panicked: the guest's self-check failed, or it stopped itself.
 * - internal-error: the machine cannot go on (a vCPU thread died).
 */
export const RUN_STATES = [
  'prelaunch',
  'inmigrate',
  'running',
  'paused',
  'finish-migrate',
  'save-vm',
  'restore-vm',
  'postmigrate',
  'guest-panicked',
  'internal-error',
] as const;
export type RunState = (typeof RUN_STATES)[number];

const SNAPSHOT: readonly RunState[] = ['save-vm', 'restore-vm'];

export const RUN_STATE_TRANSITIONS: Readonly<Record<RunState, readonly RunState[]>> = {
  prelaunch: ['running', 'paused', 'finish-migrate', 'postmigrate', 'inmigrate', 'internal-error', ...SNAPSHOT],
  inmigrate: ['running', 'paused', 'postmigrate', 'guest-panicked', 'internal-error'],
  running: ['paused', 'finish-migrate', 'guest-panicked', 'internal-error', ...SNAPSHOT],
  paused: ['running', 'finish-migrate', 'postmigrate', 'guest-panicked', 'internal-error', ...SNAPSHOT],
  'finish-migrate': ['running', 'paused', 'prelaunch', 'postmigrate', 'guest-panicked', 'internal-error'],
  'save-vm': ['running', 'paused', 'prelaunch', 'guest-panicked', 'internal-error'],
  'restore-vm': ['running', 'paused', 'prelaunch', 'guest-panicked', 'internal-error'],
  postmigrate: ['running', 'paused', 'inmigrate', 'internal-error'],
  'guest-panicked': ['paused', 'finish-migrate', 'postmigrate', 'internal-error', ...SNAPSHOT],
  'internal-error': [],
};

/** True while something other than an operator or the guest itself has stopped the machine, and will let it go. */
export function isInterrupted(state: RunState): boolean {
  return state === 'finish-migrate' || isInSnapshot(state);
}

/** True while a snapshot is captured or loaded. */
export function isInSnapshot(state: RunState): state is 'save-vm' | 'restore-vm' {
  return state === 'save-vm' || state === 'restore-vm';
}
