/* The services of the surrounding process: time, ids, the log, and the identity of the machine. */

export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  now(): number;
  /** Monotonic milliseconds. */
  monotonic(): number;
}

/**
 * Calls `work` once after `delayMs`. A timer with `isBackground` does not keep the process alive.
 * @returns a function that cancels the timer.
 */
export type Schedule = (work: () => void, delayMs: number, options?: { readonly isBackground: boolean }) => () => void;

/** Resolves after the event loop has run once, so that waiting requests are answered first. */
export type NextTurn = () => Promise<void>;

/** Makes a new id that was never used before. */
export type IdSource = () => string;

/** Logs an error that no caller waits for, such as a full disk in the middle of a migration. */
export type Report = (error: unknown) => void;

/** The level of a log line. */
export type NoteLevel = 'info' | 'warn' | 'error';

/** Writes a log line: a sentence, plain data, and the level, which is `info` unless given. */
export type Note = (message: string, details: Readonly<Record<string, unknown>>, level?: NoteLevel) => void;

/** Name and uuid of the machine. */
export type Identity = {
  readonly name: string;
  readonly uuid: string;
  /** True if an operator chose the uuid. Only then a migration compares it, as QEMU does with its `-uuid`. */
  readonly isUuidSet: boolean;
};

/**
 * Allowed use of an open file. `append`: for writing, but only at its end (O_APPEND). `unknown`: it cannot be
 * determined.
 */
export type DescriptorAccess = 'read' | 'write' | 'both' | 'append' | 'unknown';

/** System calls on descriptors of this process. */
export type DescriptorCalls = {
  /** Never throws. */
  readonly close: (descriptor: number) => void;
  /** A duplicate of the descriptor, which no child inherits. @throws Error if the system refuses one. */
  readonly duplicate: (descriptor: number) => number;
  readonly accessOf: (descriptor: number) => DescriptorAccess;
};
