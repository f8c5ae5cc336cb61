import { setTimeout as sleep } from 'node:timers/promises';

/* What the commands take from the process that they run in. Tests bring their own. */

export type Clock = {
  /** Milliseconds since some moment; never goes back. */
  nowMs(): number;
  /** The time of day. */
  date(): Date;
  /** Resolves after so many milliseconds, or when the signal aborts. Never rejects. */
  wait(ms: number, signal: AbortSignal | null): Promise<void>;
};

export type World = {
  /** VMFERRY_URL, VMFERRY_TOKEN and TERM, as they are. */
  readonly environment: Readonly<Record<'url' | 'token' | 'terminal', string | undefined>>;
  /** Results. */
  out(text: string): void;
  /** Progress and errors. */
  err(text: string): void;
  /** Width of the terminal that `err` writes to; null if it is none. */
  columns(): number | null;
  readonly clock: Clock;
  /** Aborts at the first SIGINT or SIGTERM, with the signal's name as its reason. */
  readonly interrupt: AbortSignal;
};

/** The real clock. */
export const CLOCK: Clock = {
  nowMs: () => performance.now(),
  date: () => new Date(),
  wait: (ms, signal) => sleep(ms, undefined, signal === null ? {} : { signal }).catch(() => {}),
};
