import type { Context } from '../context.ts';
import { saveAndTell } from '../migration/apply.ts';
import type { GuestPanic } from '../ports.ts';
import { isInterrupted, RUN_STATE_TRANSITIONS, type RunState } from './run-state.ts';

/** Kind of a panic that is not the guest's: one of its vCPU threads died. */
const VCPU_DIED = 'vcpu-died';

/** The guest's self-check failed, or a vCPU thread died: the machine is stopped and says so. */
export function guestPanicked(context: Context, panic: GuestPanic): void {
  const { runState, machine } = context;
  void machine.hold('panic').catch(context.report);
  const next: RunState = panic.kind === VCPU_DIED ? 'internal-error' : 'guest-panicked';
  const wasRunning = runState.current === 'running';
  if (isInterrupted(runState.current) && next === 'guest-panicked') {
    // A migration or a snapshot goes on with the guest as it is; once it lets the guest go, that does not run again.
    runState.becomeAfterwards(next);
  } else if (RUN_STATE_TRANSITIONS[runState.current].includes(next)) {
    runState.to(next);
  }
  const message = next === 'guest-panicked' ? 'the guest panicked' : 'a vCPU thread died: the machine cannot go on';
  context.note(message, { kind: panic.kind, address: panic.address, detail: panic.detail }, 'error');
  saveAndTell(context, () =>
    context.events.commit((emit) => {
      if (next === 'guest-panicked') emit('GUEST_PANICKED', { action: 'pause', panic });
      if (wasRunning) emit('STOP');
    }),
  );
  context.changes.bump();
}
