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
 * stay held, because the guest runs elsewhere.
 *
 * Snapshot: it has a hold of its own. Stop and cont, which an operator may send at any time, and a panic set theirs
 * independently. All of them together decide the state of the guest after the snapshot.
 */

/** The source's guest stands still for the switchover. */
export function guestStopped(guest: Guest): void {
  if (guest.state === 'finish-migrate' || guest.state === 'internal-error') return;
  guest.interrupt('finish-migrate');
}

/** The migration did not complete: the guest goes on here as it was, or stays stopped if an operator asked for that. */
export function guestResumed(guest: Guest): void {
  if (guest.state === 'finish-migrate') guest.enter(guest.stateAfterInterruption());
}

/** The guest runs on the target: it stays stopped here until an operator takes it back with `cont`. */
export function guestLeft(guest: Guest): void {
  if (guest.state === 'postmigrate' || guest.state === 'internal-error') return;
  guestStopped(guest);
  guest.enter('postmigrate');
}

/**
 * It is not known which side has the guest, or its disks cannot be used here: it stays stopped, held by the operator's
 * hold, so that only a deliberate `cont` makes it run.
 */
export async function guestStaysStopped(guest: Guest): Promise<void> {
  const { machine, report } = guest;
  // If the operator's hold fails, the migration's keeps the guest stopped; `cont` clears either.
  await machine.hold('operator').then(() => machine.release('migration'), report);
  guestStopped(guest);
  if (guest.state === 'finish-migrate') guest.runState.to('paused');
  guest.changed();
}

/**
 * A guest is awaited. A machine whose guest has left becomes `inmigrate`: its memory is still whole, but `cont` does not
 * take it back while another side may send a newer guest.
 */
export function guestAwaited(guest: Guest): void {
  if (guest.state !== 'postmigrate') return;
  guest.hold('incoming');
  guest.hasLeft = true;
  guest.autostart = true;
  guest.enter('inmigrate');
}

/** No guest is awaited any more, and none came: a guest that has left can be taken back again. */
export function guestNotAwaited(guest: Guest): void {
  if (!guest.hasLeft || guest.state !== 'inmigrate') return;
  guest.hasLeft = false;
  guest.machine.release('incoming');
  guest.enter('postmigrate');
}

/** A sender has come: its guest replaces the one that has left, and the holds of that one are cleared. */
export function guestComes(guest: Guest): void {
  if (!guest.hasLeft) return;
  guest.hasLeft = false;
  guest.machine.release('migration');
  guest.machine.release('operator');
}

/** True if a guest that had this run state at its source runs as soon as it has arrived. */
export function runsOnArrival({ machine, autostart }: Guest, sourceState: string): boolean {
  return machine.canRun && LIVE_STATES.has(sourceState) && autostart;
}

/**
 * The guest that arrived runs, unless it was stopped at its source or is to stay stopped here. Never throws: the guest is
 * here, and may run already, so its sender must learn that in any case; after a fault the guest waits for a `cont`.
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

/** Run states of a source whose guest is to run on; a source that sent none had a running guest. */
const LIVE_STATES: ReadonlySet<string> = new Set(['running', 'suspended', '']);

/**
 * Stops the guest for a snapshot; resolves when every vCPU stands still. The caller releases the guest again, also if
 * this rejects.
 */
export async function holdForSnapshot(guest: Guest, state: 'save-vm' | 'restore-vm'): Promise<void> {
  await guest.machine.hold('snapshot');
  // It may have died while it was being stopped.
  if (guest.state === 'internal-error') throw machineDied('machine snapshot');
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

/** The kind of a panic whose cause is not the guest: one of its vCPU threads died. */
const VCPU_DIED = 'vcpu-died';

export type PanicParts = { readonly guest: Guest; readonly events: EventHub; readonly note: Note };

/** The guest's self-check failed, or a vCPU thread died: the machine is stopped, and log and events tell of it. */
export function guestPanicked({ guest, events, note }: PanicParts, panic: GuestPanic): void {
  guest.hold('panic');
  const next: RunState = panic.kind === VCPU_DIED ? 'internal-error' : 'guest-panicked';
  const wasRunning = guest.state === 'running';
  if (isInterrupted(guest.state) && next === 'guest-panicked') {
    // A migration or a snapshot goes on with the guest as it is; the guest does not run again afterwards.
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
