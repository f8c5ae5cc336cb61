import { EXIT, type ExitStatus } from './exit-status.ts';
import type { Ending, Followed } from './work-follower.ts';

/* For how long a command waits for what it started, and what it ends with. */

export type Waiting = {
  readonly waits: boolean;
  /** Null: as long as it takes. */
  readonly timeoutMs: number | null;
  readonly cancelsOnTimeout: boolean;
  readonly reconnectMs: number;
  /** Null: one is made. */
  readonly idempotencyKey: string | null;
};

/** How long a request to start may be sent again. */
export function retryMsOf({ reconnectMs, timeoutMs }: Waiting): number {
  return Math.min(reconnectMs, timeoutMs ?? reconnectMs);
}

/** Work whose end is known, and how it came about. */
export type Outcome = Followed & { readonly isCompleted: boolean; readonly outcome: string | null };

export function exitStatusOf({ last, stop }: Ending<Outcome>, interrupt: AbortSignal): ExitStatus {
  if (stop === 'interrupt') return interruptStatus(interrupt);
  if (last.isCompleted) return EXIT.done;
  const wasCutShort = stop === 'timeout' && (!last.isConcluded || last.outcome === 'cancelled');
  return wasCutShort ? EXIT.timedOut : EXIT.failed;
}

/** What a command ends with that a signal ended. */
export function interruptStatus(interrupt: AbortSignal): ExitStatus {
  return interrupt.reason === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
}
