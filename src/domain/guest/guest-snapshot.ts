import { DomainError } from '../errors.ts';
import type { Guest } from './guest.ts';
import { isInSnapshot } from './run-state.ts';

/*
 * Steps of the run state during a snapshot. The snapshot has a hold of its own, so that an operator's stop and cont,
 * which may come at any time, and a panic keep theirs; the state of the guest afterwards follows from all of them.
 */

/**
 * Stops the guest for a snapshot; resolves when every vCPU stands still. The caller releases the guest again, also if
 * this rejects.
 */
export async function holdForSnapshot(guest: Guest, state: 'save-vm' | 'restore-vm'): Promise<void> {
  await guest.machine.hold('snapshot');
  // It may have died while it was being stopped.
  if (guest.state === 'internal-error') throw machineDied();
  guest.interrupt(state);
}

/** The guest goes on as it was, unless an operator stopped or continued it, or it panicked, in the meantime. */
export function releaseFromSnapshot(guest: Guest): void {
  const next = guest.stateAfterInterruption();
  guest.machine.release('snapshot');
  if (isInSnapshot(guest.state)) guest.enter(next);
}

/** The machine has adopted the guest of a snapshot: it runs if the guest before it ran. */
export function releaseLoadedGuest(guest: Guest): void {
  let next = guest.stateAfterInterruption();
  if (guest.machine.isHeldFor('panic')) next = 'guest-panicked';
  else if (next === 'guest-panicked') {
    // The guest that had panicked is gone, and no operator has asked yet that the new one runs.
    guest.hold('operator');
    next = 'paused';
  }
  guest.machine.release('snapshot');
  if (isInSnapshot(guest.state)) guest.enter(next);
}

/** Guest and disks do not fit each other any more: the guest stays stopped until an operator continues it. */
export function keepGuestStopped(guest: Guest): void {
  guest.hold('operator');
  const { runState } = guest;
  if (isInSnapshot(runState.current) && runState.interrupted !== 'guest-panicked') runState.becomeAfterwards('paused');
}

/** @throws DomainError if a vCPU thread has died: such a machine can be neither captured nor replaced. */
export function refuseDeadMachine({ state }: Guest): void {
  if (state === 'internal-error') throw machineDied();
}

/** @throws DomainError if there is no guest: an image machine that has not adopted one. */
export function refuseEmptyMachine({ machine }: Guest): void {
  if (machine.isLoaded) return;
  throw new DomainError('machine_not_loaded', 'This machine is empty until one has been adopted.');
}

function machineDied(): DomainError {
  return new DomainError('machine_reset_required', "The guest is in state 'internal-error': a vCPU thread has died.");
}
