import type { EventHub } from '../events/event-hub.ts';
import { machineDied } from '../occupancy.ts';
import type { GuestPanic } from '../ports/hypervisor.ts';
import type { Note } from '../ports/process.ts';
import type { Guest } from './guest.ts';
import { isInSnapshot, isInterrupted, RUN_STATE_TRANSITIONS, type RunState } from './run-state.ts';

/*
 * Steps of the run state during a migration, during a snapshot and after a panic.
 *
 * Migration: the engine has already held or released the vCPUs when these functions are called. After a success they
 * stay held, because the guest runs at the target.
 *
 * Snapshot: a snapshot has its own hold. An operator and a panic set theirs independently, and all holds together
 * decide the state after the snapshot.
 */

/** The guest of a source was stopped for the switchover. */
export function guestStopped(guest: Guest): void {
  if (guest.state === 'finish-migrate' || guest.state === 'internal-error') return;
  guest.interrupt('finish-migrate');
}

/**
 * The migration did not complete: the guest returns to its earlier state, or stays stopped if an operator asked for
 * that.
 */
export function guestResumed(guest: Guest): void {
  if (guest.state === 'finish-migrate') guest.enter(guest.stateAfterInterruption());
}

/** The guest runs at the target: here it stays stopped until `cont`. */
export function guestLeft(guest: Guest): void {
  if (guest.state === 'postmigrate' || guest.state === 'internal-error') return;
  guestStopped(guest);
  guest.enter('postmigrate');
}

/**
 * The owner of the guest is unknown, or its disks cannot be used here. The operator's hold keeps the guest stopped
 * until an explicit `cont`.
 */
export async function guestStaysStopped(guest: Guest): Promise<void> {
  const { machine, report } = guest;
  // If the operator's hold fails, the migration's hold keeps the guest stopped; `cont` clears either.
  await machine.hold('operator').then(() => machine.release('migration'), report);
  guestStopped(guest);
  if (guest.state === 'finish-migrate') guest.runState.to('paused');
  guest.changed();
}

/**
 * A listener waits for a guest. A machine whose guest has left becomes `inmigrate`: its memory is complete, but `cont`
 * must not run it, because the other side may send a newer guest.
 */
export function guestAwaited(guest: Guest): void {
  if (guest.state !== 'postmigrate') return;
  guest.hold('incoming');
  guest.hasLeft = true;
  guest.autostart = true;
  guest.enter('inmigrate');
}

/** The listener ended without a guest: `cont` can run the guest that had left again. */
export function guestNotAwaited(guest: Guest): void {
  if (!guest.hasLeft || guest.state !== 'inmigrate') return;
  guest.hasLeft = false;
  guest.machine.release('incoming');
  guest.enter('postmigrate');
}

/** A sender has connected: its guest replaces the one that has left, and the holds of that one are cleared. */
export function replaceDepartedGuest(guest: Guest): void {
  if (!guest.hasLeft) return;
  guest.hasLeft = false;
  guest.machine.release('migration');
  guest.machine.release('operator');
}

/** True if a guest with this run state at its source runs as soon as it has arrived. */
export function runsOnArrival({ machine, autostart }: Guest, sourceState: string): boolean {
  return machine.canRun && LIVE_STATES.has(sourceState) && autostart;
}

/**
 * Runs the arrived guest, unless it was stopped at its source or must stay stopped here. Never throws: the guest may
 * already run, so its sender must be told in any case. After an error the guest waits for `cont`.
 */
export function guestArrived(guest: Guest, sourceState: string): void {
  try {
    start(guest, sourceState);
  } catch (error) {
    guest.report(error);
    keepStopped(guest);
  }
}

function start(guest: Guest, sourceState: string): void {
  if (guest.machine.isHeldFor('panic')) {
    guest.machine.release('incoming');
    guest.enter('guest-panicked');
  } else if (runsOnArrival(guest, sourceState)) {
    guest.machine.release('incoming');
    guest.enter('running');
  } else {
    arrivedStopped(guest);
    guest.changed();
  }
}

function keepStopped(guest: Guest): void {
  try {
    if (guest.state === 'inmigrate') arrivedStopped(guest);
  } catch (error) {
    guest.report(error);
  }
}

/** The operator's hold is set before the incoming one is cleared. */
function arrivedStopped(guest: Guest): void {
  guest.hold('operator');
  guest.runState.to('paused');
  guest.machine.release('incoming');
}

/** Run states of a source whose guest runs after its arrival; empty: the source sent none, and its guest ran. */
const LIVE_STATES: ReadonlySet<string> = new Set(['running', 'suspended', '']);

/**
 * Stops the guest for a snapshot; resolves when every vCPU stands still. The caller must release the guest afterwards,
 * even if this rejects.
 */
export async function holdForSnapshot(guest: Guest, state: 'save-vm' | 'restore-vm'): Promise<void> {
  await guest.machine.hold('snapshot');
  // The machine may have died while it was being stopped.
  if (guest.state === 'internal-error') throw machineDied('machine snapshot');
  guest.interrupt(state);
}

/**
 * The guest returns to its earlier state, unless an operator stopped or continued it, or it panicked, in the meantime.
 */
export function releaseFromSnapshot(guest: Guest): void {
  const next = guest.stateAfterInterruption();
  guest.machine.release('snapshot');
  if (isInSnapshot(guest.state)) guest.enter(next);
}

/** The machine has adopted the guest of a snapshot: it runs if the replaced guest ran. */
export function releaseLoadedGuest(guest: Guest): void {
  let next = guest.stateAfterInterruption();
  if (guest.machine.isHeldFor('panic')) next = 'guest-panicked';
  else if (next === 'guest-panicked') {
    // The panicked guest was replaced; the new one runs only after `cont`.
    guest.hold('operator');
    next = 'paused';
  }
  guest.machine.release('snapshot');
  if (isInSnapshot(guest.state)) guest.enter(next);
}

/** Guest and disks do not match: the guest stays stopped until `cont`. */
export function keepGuestStopped(guest: Guest): void {
  guest.hold('operator');
  const { runState } = guest;
  if (isInSnapshot(runState.current) && runState.interrupted !== 'guest-panicked') runState.becomeAfterwards('paused');
}

/** The kind of a panic whose cause is not the guest: one of its vCPU threads died. */
const VCPU_DIED = 'vcpu-died';

export type PanicParts = { readonly guest: Guest; readonly events: EventHub; readonly note: Note };

/**
 * The guest's self-check failed, or a vCPU thread died: the machine is stopped, and the panic is logged and published.
 */
export function guestPanicked({ guest, events, note }: PanicParts, panic: GuestPanic): void {
  guest.hold('panic');
  const next: RunState = panic.kind === VCPU_DIED ? 'internal-error' : 'guest-panicked';
  const wasRunning = guest.state === 'running';
  if (isInterrupted(guest.state) && next === 'guest-panicked') {
    // A migration or a snapshot continues with the stopped guest; the guest does not run again afterwards.
    guest.runState.becomeAfterwards(next);
  } else if (RUN_STATE_TRANSITIONS[guest.state].includes(next)) {
    guest.runState.to(next);
  }
  const message = next === 'guest-panicked' ? 'the guest panicked' : 'a vCPU thread died: the machine cannot go on';
  note(message, { kind: panic.kind, address: panic.address, detail: panic.detail }, 'error');
  events.commitOrReport((emit) => {
    if (next === 'guest-panicked') emit('GUEST_PANICKED', { action: 'pause', panic });
    if (wasRunning) emit('STOP');
  });
  guest.changed();
}
