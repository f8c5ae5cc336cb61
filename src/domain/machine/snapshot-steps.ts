import type { Context } from '../context.ts';
import { DomainError } from '../errors.ts';
import { saveAndTell } from '../migration/apply.ts';
import { isInSnapshot, type RunState } from './run-state.ts';

/*
 * What a snapshot does to the run state. The hold is the snapshot's own, so that an operator's stop and cont, which
 * may come at any time, and a panic keep theirs: what the guest does once it is let go follows from all of them.
 */

/**
 * Stops the guest for a snapshot; resolves when every vCPU stands still. Whoever calls it lets the guest go again,
 * also if this rejects. STOP is told only of a guest that ran.
 */
export async function holdForSnapshot(context: Context, state: 'save-vm' | 'restore-vm'): Promise<void> {
  const { machine, runState } = context;
  await machine.hold('snapshot');
  // It may have died as it was stopped.
  if (runState.current === 'internal-error') throw machineDied();
  const before = runState.interrupt(state);
  if (before === 'running') tell(context, 'STOP');
  context.changes.bump();
}

/** The guest goes on as it was, unless it was stopped or let run by an operator, or panicked, in the meantime. */
export function letGuestGo(context: Context): void {
  const { machine, runState } = context;
  const next = stateAfterwards(context);
  machine.release('snapshot');
  if (!isInSnapshot(runState.current)) return;
  enter(context, next);
}

/** The machine has taken over the guest of a snapshot: it runs if the one before it ran. */
export function loadedGuestGoes(context: Context): void {
  const { machine, runState } = context;
  let next = stateAfterwards(context);
  if (machine.isHeldFor('panic')) next = 'guest-panicked';
  else if (next === 'guest-panicked') {
    // The guest that had panicked is gone; nobody has said yet that the one in its place is to run.
    void machine.hold('operator').catch(context.report);
    next = 'paused';
  }
  machine.release('snapshot');
  if (isInSnapshot(runState.current)) enter(context, next);
}

/** Guest and disks do not belong together any more: the guest stays stopped until an operator says otherwise. */
export function keepGuestStopped(context: Context): void {
  const { machine, runState } = context;
  void machine.hold('operator').catch(context.report);
  if (isInSnapshot(runState.current) && runState.interrupted !== 'guest-panicked') runState.becomeAfterwards('paused');
}

/** @throws DomainError if a vCPU thread has died: nothing can be captured of such a machine, nor loaded into it. */
export function refuseDeadMachine({ runState }: Context): void {
  if (runState.current === 'internal-error') throw machineDied();
}

function stateAfterwards({ machine, runState }: Context): RunState {
  const before = runState.interrupted;
  // A stop that began before the guest stood still found it running and could not say more.
  return before === 'running' && machine.isHeldFor('operator') ? 'paused' : before;
}

function enter(context: Context, next: RunState): void {
  context.runState.to(next);
  if (next === 'running') tell(context, 'RESUME');
  context.changes.bump();
}

function machineDied(): DomainError {
  return new DomainError('machine_reset_required', "The guest is in state 'internal-error': a vCPU thread has died.");
}

function tell(context: Context, name: 'STOP' | 'RESUME'): void {
  saveAndTell(context, () => context.events.commit((emit) => emit(name)));
}
