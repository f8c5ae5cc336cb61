import type { Clock } from './command-io.ts';

/* Exit statuses of the client, the failures that lead to them, and the end of attempts to reach a lost service. */

/** Exit status of a command. Scripts rely on these numbers: their meanings never change. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  timedOut: 5,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command with a message for people and an exit status for scripts. */
export class Failure extends Error {
  override readonly name: string = 'Failure';
  readonly exitStatus: ExitStatus;
  /** Error code of the service; null if the failure arose in the client. */
  readonly code: string | null;

  constructor(exitStatus: ExitStatus, message: string, code: string | null = null) {
    super(message);
    this.exitStatus = exitStatus;
    this.code = code;
  }

  /** The same failure with more sentences at the end of its message; the failure itself if there are none. */
  explained(sentences: readonly string[]): Failure {
    if (sentences.length === 0) return this;
    return new Failure(this.exitStatus, [this.message, ...sentences].join(' '), this.code);
  }
}

/** No answer came: nothing listens, the connection broke, or the service is shutting down. A later request may succeed. */
export class ConnectionLost extends Failure {
  override readonly name = 'ConnectionLost';
  /** True if the request may have reached the service. */
  readonly mayHaveArrived: boolean;

  constructor(message: string, options: { readonly mayHaveArrived: boolean; readonly code?: string | null }) {
    super(EXIT.unreachable, message, options.code ?? null);
    this.mayHaveArrived = options.mayHaveArrived;
  }
}

/** An unexpected answer: another program listens at the address, or another version of the service. */
export function unexpectedAnswer(reason: string): Failure {
  return new Failure(EXIT.unreachable, `the answer is not from a vmferry service: ${reason}`);
}

type Problem = { readonly status: number; readonly code: string; readonly detail: string };

/** The service accepted the request and could not carry it out, for example because its disk is full. */
export function failed({ status, code, detail }: Problem): Failure {
  return new Failure(EXIT.unreachable, `the service failed (${status} ${code}): ${detail}`, code);
}

/** The service understood the request and refused it. */
export function refused(problem: Problem): Failure {
  return new Failure(EXIT.refused, `refused (${problem.status} ${problem.code}): ${problem.detail}`, problem.code);
}

/** A failure as --json prints it. */
export function failureObject({ exitStatus, code, message }: Failure): object {
  return { type: 'error', 'exit-status': exitStatus, code, detail: message };
}

/** Exit status of a command that a signal ended. */
export function interruptStatus(interrupt: AbortSignal): ExitStatus {
  return interrupt.reason === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
}

/** Pause between two attempts to reach a service again, in milliseconds. */
export const RETRY_MS = 250;

export type ReconnectionOptions = {
  readonly clock: Clock;
  /** How long a lost service is asked again, in milliseconds. */
  readonly reconnectMs: number;
  /** Receives one sentence when the service is lost. */
  readonly note: (text: string) => void;
};

/** Decides how long a command keeps asking a service that it has lost. The time begins at the first failed request. */
export class Reconnection {
  readonly #options: ReconnectionOptions;
  #lostAtMs: number | null = null;

  constructor(options: ReconnectionOptions) {
    this.#options = options;
  }

  /** The service has answered: the next loss gets the full time again. */
  answered(): void {
    this.#lostAtMs = null;
  }

  /** True after a failed request, until the service answers. */
  get isLost(): boolean {
    return this.#lostAtMs !== null;
  }

  /**
   * Records a request that failed because the service is lost. The caller waits and asks again, or gives up.
   * @returns true once the service has been lost for `reconnectMs`: the caller gives up.
   */
  failed({ message }: Failure): boolean {
    const { clock, reconnectMs, note } = this.#options;
    const now = clock.nowMs();
    if (this.#lostAtMs === null) note(`${message}; trying again`);
    this.#lostAtMs ??= now;
    return now - this.#lostAtMs >= reconnectMs;
  }
}
