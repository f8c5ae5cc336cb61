/* Exit statuses of the client, and the failures that lead to them. */

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

/** An answer that no vmferry service gives: another program listens there, or another version of the service. */
export function unexpectedAnswer(reason: string): Failure {
  return new Failure(EXIT.unreachable, `the answer is not what a vmferry service gives: ${reason}`);
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
