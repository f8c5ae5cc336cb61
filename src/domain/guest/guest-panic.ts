import type { EventHub } from '../events/event-hub.ts';
import type { GuestPanic } from '../ports/hypervisor.ts';
import type { Note } from '../ports/process.ts';
import type { Guest } from './guest.ts';
import { isInterrupted, RUN_STATE_TRANSITIONS, type RunState } from './run-state.ts';

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
