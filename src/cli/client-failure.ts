import { EXIT, type ExitStatus } from './exit-status.ts';

/* Why a command ends with something else than 0. */

/** Ends the command: a message for people, and what scripts see of it. */
export class Failure extends Error {
  override readonly name: string = 'Failure';
  readonly exitStatus: ExitStatus;
  /** The service's code, or null where the failure is not the service's. */
  readonly code: string | null;

  constructor(exitStatus: ExitStatus, message: string, code: string | null = null) {
    super(message);
    this.exitStatus = exitStatus;
    this.code = code;
  }

  /** The same failure with more sentences behind its message; itself where there are none. */
  explained(sentences: readonly string[]): Failure {
    if (sentences.length === 0) return this;
    return new Failure(this.exitStatus, [this.message, ...sentences].join(' '), this.code);
  }
}

/** No answer came: nobody listens, the connection broke, or the service is shutting down. Asking again may help. */
export class ConnectionLost extends Failure {
  override readonly name = 'ConnectionLost';
  /** True if the request may have reached the service. */
  readonly mayHaveArrived: boolean;

  constructor(message: string, options: { readonly mayHaveArrived: boolean; readonly code?: string | null }) {
    super(EXIT.unreachable, message, options.code ?? null);
    this.mayHaveArrived = options.mayHaveArrived;
  }
}

/** An answer that no vmferry gives: another program listens there, or one of another version. */
export function unexpectedAnswer(what: string): Failure {
  return new Failure(EXIT.unreachable, `the answer is not what a vmferry service gives: ${what}`);
}

type Problem = { readonly status: number; readonly code: string; readonly detail: string };

/** The service could not do it, and nobody is to take that for an answer: its disk is full, say. */
export function failed({ status, code, detail }: Problem): Failure {
  return new Failure(EXIT.unreachable, `the service failed (${status} ${code}): ${detail}`, code);
}

/** The service understood and refused. */
export function refused(problem: Problem): Failure {
  return new Failure(EXIT.refused, `refused (${problem.status} ${problem.code}): ${problem.detail}`, problem.code);
}
