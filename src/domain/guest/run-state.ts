import assert from 'node:assert';

/**
 * Run states of the machine: the RunState values of the QAPI schema that vmferry uses.
 *
 * - prelaunch: the guest never ran here (--paused, or an image).
 * - inmigrate: waiting for, or loading, an incoming migration.
 * - running / paused: the guest runs, or an operator stopped it.
 * - finish-migrate: stopped by a migration that is completing.
 * - save-vm / restore-vm: stopped while a snapshot of the machine is saved or loaded. Entered from any state, even if
 *   the guest did not run; the machine returns to that state afterwards.
 * - postmigrate: the guest left and runs at the target. `cont` runs it here again; a listener makes it inmigrate.
 * - guest-panicked: the guest's self-check failed, or it stopped itself.
 * - internal-error: the machine cannot run any more (a vCPU thread died).
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

/** True while a migration or a snapshot has temporarily stopped the machine. */
export function isInterrupted(state: RunState): boolean {
  return state === 'finish-migrate' || isInSnapshot(state);
}

/** True while a snapshot is captured or loaded. */
export function isInSnapshot(state: RunState): state is 'save-vm' | 'restore-vm' {
  return state === 'save-vm' || state === 'restore-vm';
}

/**
 * The run state of one machine, and the state to return to after an interruption: a migration that stopped the guest
 * and does not complete, or a snapshot. A machine has at most one interruption at a time.
 */
export class RunStateHolder {
  #current: RunState;
  #interrupted: RunState = 'paused';

  constructor(initial: RunState) {
    this.#current = initial;
  }

  get current(): RunState {
    return this.#current;
  }

  /** @throws AssertionError if the table does not allow the step, which is a bug of the caller. */
  to(next: RunState): void {
    assert(RUN_STATE_TRANSITIONS[this.#current].includes(next), `run state ${this.#current} does not lead to ${next}`);
    this.#current = next;
  }

  /** Enters the run state of an interruption. @returns the state before it, which `interrupted` returns from now on. */
  interrupt(by: 'finish-migrate' | 'save-vm' | 'restore-vm'): RunState {
    const left = this.#current;
    this.to(by);
    this.#interrupted = left;
    return left;
  }

  /** The state after the interruption: the one before it, or a later one (a panic, an operator's stop or cont). */
  get interrupted(): RunState {
    return this.#interrupted;
  }

  /** Changes the state after the interruption. */
  becomeAfterwards(state: RunState): void {
    this.#interrupted = state;
  }
}
