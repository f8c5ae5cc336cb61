import { setTimeout as sleep } from 'node:timers/promises';

/* Everything that commands use of their process. Tests supply their own. */

export type Clock = {
  /** Milliseconds of a monotonic clock. */
  nowMs(): number;
  /** The time of day. */
  date(): Date;
  /** Resolves after the given time, in milliseconds, or when the signal aborts. Never rejects. */
  wait(ms: number, signal: AbortSignal | null): Promise<void>;
};

/** Variables of the environment, unchecked: VMFERRY_URL, VMFERRY_URL_FILE, VMFERRY_TOKEN, TERM, NO_COLOR, HOME, XDG_STATE_HOME. */
export type Environment = Readonly<Record<'url' | 'token' | 'terminal', string | undefined>> &
  Readonly<Partial<Record<'urlFile' | 'noColor' | 'home' | 'stateHome', string | undefined>>>;

/** Input, output, clock and signals of a command. */
export type CommandIo = {
  /** Version of this program. */
  readonly version: string;
  readonly environment: Environment;
  /** Writes to standard output: results. */
  out(text: string): void;
  /** Writes to standard error: progress and errors. */
  err(text: string): void;
  /** Width of the terminal at standard error, in characters; null if it is not a terminal. */
  columns(): number | null;
  /** The same for standard output. */
  outColumns(): number | null;
  /** Standard input. */
  readonly input: NodeJS.ReadableStream & AsyncIterable<Buffer>;
  /** The streams of the terminal; null if standard input or standard output is not a terminal. */
  readonly terminal: { readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream } | null;
  readonly clock: Clock;
  /** Aborts at the first SIGINT or SIGTERM, with the signal's name as its reason. */
  readonly interrupt: AbortSignal;
  /** Aborts when the reader of standard output has closed it. */
  readonly outputClosed: AbortSignal;
};

/** The real clock. */
export const CLOCK: Clock = {
  nowMs: () => performance.now(),
  date: () => new Date(),
  wait: (ms, signal) => sleep(ms, undefined, signal === null ? {} : { signal }).catch(() => {}),
};
