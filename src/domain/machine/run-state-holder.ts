import assert from 'node:assert';
import { RUN_STATE_TRANSITIONS, type RunState } from './run-state.ts';

/** The run state of one machine, and the one to go back to if a migration that stopped the guest does not complete. */
export class RunStateHolder {
  #current: RunState;
  #beforeMigration: RunState = 'paused';

  constructor(initial: RunState) {
    this.#current = initial;
  }

  get current(): RunState {
    return this.#current;
  }

  /** @throws AssertionError if the table does not allow the step: a fault in the caller. */
  to(next: RunState): void {
    assert(RUN_STATE_TRANSITIONS[this.#current].includes(next), `run state ${this.#current} does not lead to ${next}`);
    this.#current = next;
  }

  /** Enters finish-migrate. @returns the state left, which `leaveMigration` goes back to. */
  enterMigration(): RunState {
    this.#beforeMigration = this.#current;
    this.to('finish-migrate');
    return this.#beforeMigration;
  }

  /** What the guest was before the migration stopped it, or has become since: a panic, an operator's stop. */
  get beforeMigration(): RunState {
    return this.#beforeMigration;
  }

  /** Changes where a migration that fails will lead back to. */
  becomeAfterMigration(state: RunState): void {
    this.#beforeMigration = state;
  }
}
