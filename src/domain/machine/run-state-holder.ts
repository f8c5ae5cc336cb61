import assert from 'node:assert';
import { RUN_STATE_TRANSITIONS, type RunState } from './run-state.ts';

/**
 * The run state of one machine, and the one to go back to when what interrupted it lets it go: a migration that stopped
 * the guest and does not complete, or a snapshot. The two exclude each other, so there is one such state.
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

  /** @throws AssertionError if the table does not allow the step: a fault in the caller. */
  to(next: RunState): void {
    assert(RUN_STATE_TRANSITIONS[this.#current].includes(next), `run state ${this.#current} does not lead to ${next}`);
    this.#current = next;
  }

  /** Enters a state that something else will leave again. @returns the state left: `interrupted` from now on. */
  interrupt(by: 'finish-migrate' | 'save-vm' | 'restore-vm'): RunState {
    const left = this.#current;
    this.to(by);
    this.#interrupted = left;
    return left;
  }

  /** What the guest was before the interruption, or has become since: a panic, an operator's stop or cont. */
  get interrupted(): RunState {
    return this.#interrupted;
  }

  /** Changes where the interruption will lead back to. */
  becomeAfterwards(state: RunState): void {
    this.#interrupted = state;
  }
}
