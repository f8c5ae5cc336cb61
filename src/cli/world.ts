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

/** Variables of the environment, as they are. */
export type Environment = Readonly<Record<'url' | 'token' | 'terminal', string | undefined>> &
  Readonly<Partial<Record<'urlFile' | 'noColor' | 'home' | 'stateHome', string | undefined>>>;

export type World = {
  /** Version of this program. */
  readonly version: string;
  /** VMFERRY_URL, VMFERRY_URL_FILE, VMFERRY_TOKEN, TERM, NO_COLOR, HOME and XDG_STATE_HOME. */
  readonly environment: Environment;
  /** Results. */
  out(text: string): void;
  /** Progress and errors. */
  err(text: string): void;
  /** Width of the terminal that `err` writes to; null if it is none. */
  columns(): number | null;
  /** Width of the terminal that `out` writes to; null if it is none. */
  outColumns(): number | null;
  /** Standard input. */
  readonly input: NodeJS.ReadableStream & AsyncIterable<Buffer>;
  /** Where a person types and reads; null where standard input or output is no terminal. */
  readonly terminal: { readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream } | null;
  readonly clock: Clock;
  /** Aborts at the first SIGINT or SIGTERM, with the signal's name as its reason. */
  readonly interrupt: AbortSignal;
  /** Aborts when nobody reads results any more. */
  readonly outputClosed: AbortSignal;
};

/** The real clock. */
export const CLOCK: Clock = {
  nowMs: () => performance.now(),
  date: () => new Date(),
  wait: (ms, signal) => sleep(ms, undefined, signal === null ? {} : { signal }).catch(() => {}),
};
