/* What the domain needs of the process around it: time, ids, the log, and who the machine is. */

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

/** Resolves after the event loop has run once: requests that wait for the thread are answered first. */
export type NextTurn = () => Promise<void>;

/** Makes a new id that was never used before. */
export type IdSource = () => string;

/** Logs a fault that no caller waits for, such as a full disk in the middle of a migration. */
export type Report = (error: unknown) => void;

/** The level of a log line. */
export type NoteLevel = 'info' | 'warn' | 'error';

/** Writes a log line: a sentence, plain data, and the level, which is `info` unless given. */
export type Note = (message: string, details: Readonly<Record<string, unknown>>, level?: NoteLevel) => void;

/** Name and uuid of the machine. */
export type Identity = {
  readonly name: string;
  readonly uuid: string;
  /** True if an operator chose the uuid: only then a migration compares it, as QEMU does with its `-uuid`. */
  readonly isUuidSet: boolean;
};

/** What an open file may be used for. `append`: for writing, but only at its end (O_APPEND). `unknown`: nobody can tell. */
export type DescriptorAccess = 'read' | 'write' | 'both' | 'append' | 'unknown';

/** Calls of the system about descriptors of this process. */
export type DescriptorCalls = {
  /** Never throws. */
  readonly close: (descriptor: number) => void;
  /** A further descriptor of the same open file, which no child inherits. @throws Error if there is none to be had. */
  readonly duplicate: (descriptor: number) => number;
  readonly accessOf: (descriptor: number) => DescriptorAccess;
};
