import type { Context } from '../context.ts';
import { saveAndTell } from '../migration/apply.ts';
import type { RunState } from './run-state.ts';

/*
 * What a migration does to the run state. The engine's worker has already held or released the vCPUs when these are
 * called; on success they stay held, because the guest runs elsewhere.
 */

/** The source's guest stands still for the switchover. STOP is told only of a guest that ran. */
export function guestStopped(context: Context): void {
  const { runState } = context;
  if (runState.current === 'finish-migrate' || runState.current === 'internal-error') return;
  const before = runState.interrupt('finish-migrate');
  if (before === 'running') tell(context, 'STOP');
  context.changes.bump();
}

/** The migration did not complete: the guest goes on here as it was, or stays stopped if someone asked for that. */
export function guestResumed(context: Context): void {
  const { runState } = context;
  if (runState.current !== 'finish-migrate') return;
  const next = stateAfterFailure(context);
  runState.to(next);
  if (next === 'running') tell(context, 'RESUME');
  context.changes.bump();
}

function stateAfterFailure({ runState, machine }: Context): RunState {
  const before = runState.interrupted;
  return before === 'running' && machine.isHeldFor('operator') ? 'paused' : before;
}

/** The guest runs on the target: it stays stopped here until an operator takes it back with `cont`. */
export function guestLeft(context: Context): void {
  if (context.runState.current === 'postmigrate' || context.runState.current === 'internal-error') return;
  guestStopped(context);
  context.runState.to('postmigrate');
  context.changes.bump();
}

/**
 * Nobody knows who has the guest, or its disks cannot be had back: it stays stopped here, held by the operator's own
 * hold, so that only a deliberate `cont` makes it run.
 */
export async function guestStaysStopped(context: Context): Promise<void> {
  const { machine, runState } = context;
  // If the operator's hold cannot be had, the migration's keeps the guest stopped; `cont` takes either away.
  await machine.hold('operator').then(() => machine.release('migration'), context.report);
  guestStopped(context);
  if (runState.current === 'finish-migrate') runState.to('paused');
  context.changes.bump();
}

/**
 * A guest is awaited. A machine whose guest has left is `inmigrate` from now on: its memory is still whole, but no `cont`
 * takes it back while another side may send the guest that is newer.
 */
export function guestAwaited(context: Context): void {
  const { machine, runState } = context;
  if (runState.current !== 'postmigrate') return;
  void machine.hold('incoming').catch(context.report);
  runState.to('inmigrate');
  context.hasGuestThatLeft = true;
  context.autostart = true;
  context.changes.bump();
}

/** Nobody is awaited any more, and nobody came: a guest that has left can be taken back again. */
export function guestNotAwaited(context: Context): void {
  const { machine, runState } = context;
  if (!context.hasGuestThatLeft || runState.current !== 'inmigrate') return;
  context.hasGuestThatLeft = false;
  machine.release('incoming');
  runState.to('postmigrate');
  context.changes.bump();
}

/** A sender has come: its guest takes the place of the one that has left, and that one's stop does not concern it. */
export function guestComes(context: Context): void {
  if (!context.hasGuestThatLeft) return;
  context.hasGuestThatLeft = false;
  context.machine.release('migration');
  context.machine.release('operator');
}

/** True if a guest with this run state would run as soon as it has arrived. */
export function runsOnArrival({ machine, autostart }: Context, globalState: string): boolean {
  return machine.canRun && LIVE_STATES.has(globalState) && autostart;
}

/**
 * The guest that arrived runs, unless it was stopped at the source or is to stay stopped here. Never throws: the guest is
 * here, and may run already, so its sender must be told so whatever goes wrong; then it waits, stopped, for a `cont`.
 */
export function guestArrived(context: Context, globalState: string): void {
  try {
    letGo(context, globalState);
  } catch (error) {
    context.report(error);
    keepStopped(context);
  }
}

function letGo(context: Context, globalState: string): void {
  const { machine, runState } = context;
  if (machine.isHeldFor('panic')) {
    machine.release('incoming');
    runState.to('guest-panicked');
  } else if (runsOnArrival(context, globalState)) {
    machine.release('incoming');
    runState.to('running');
    tell(context, 'RESUME');
  } else {
    arrivedStopped(context);
  }
  context.changes.bump();
}

function keepStopped(context: Context): void {
  try {
    if (context.runState.current === 'inmigrate') arrivedStopped(context);
  } catch (error) {
    context.report(error);
  }
}

/** The operator's hold takes the place of the incoming one before that is let go. */
function arrivedStopped({ machine, runState, report }: Context): void {
  void machine.hold('operator').catch(report);
  runState.to('paused');
  machine.release('incoming');
}

/** Run states of a source whose guest is to run on; a source that sent none had a running guest. */
const LIVE_STATES: ReadonlySet<string> = new Set(['running', 'suspended', '']);

function tell(context: Context, name: 'STOP' | 'RESUME'): void {
  saveAndTell(context, () => context.events.commit((emit) => emit(name)));
}
