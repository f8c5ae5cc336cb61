import type { Guest } from './guest.ts';

/*
 * Steps of the run state during a migration. When these functions are called the vCPUs already have been held or
 * released by the engine; after a success they stay held, because the guest runs elsewhere.
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
