import { randomUUID } from 'node:crypto';
import {
  ConnectionLost,
  EXIT,
  type ExitStatus,
  Failure,
  interruptStatus,
  RETRY_MS,
  Reconnection,
} from './client-failure.ts';
import type { CommandIo } from './command-io.ts';
import type { Started } from './service-client.ts';

/*
 * Work of the service that outlasts a request: a snapshot job or a migration. `startOnce` starts it exactly once,
 * `follow` asks for it repeatedly until it ends, `startAndFollow` does both and gives the exit status. Polling needs nothing
 * else of the service, so following survives a restart of the service, a proxy that ends long answers, and a suspended client.
 */

/** How long a command waits for its work, from its options. */
export type Waiting = {
  readonly waits: boolean;
  /** Null: no limit. */
  readonly timeoutMs: number | null;
  readonly cancelsOnTimeout: boolean;
  readonly reconnectMs: number;
  /** Null: the client makes a key. */
  readonly idempotencyKey: string | null;
};

export type StartOptions<Work> = {
  readonly send: (idempotencyKey: string) => Promise<Started<Work>>;
  readonly waiting: Pick<Waiting, 'idempotencyKey' | 'reconnectMs' | 'timeoutMs'>;
  readonly io: Pick<CommandIo, 'clock' | 'interrupt'>;
  /** Receives a sentence about a lost connection. */
  readonly note: (text: string) => void;
};

/**
 * Sends the request that starts work. If the answer is lost, the request is sent again with the same idempotency key, so
 * that the work starts once. A service that could not be reached at all is not asked again.
 * @throws Failure if the service refuses, or stays lost for the time of --reconnect or --timeout.
 */
export async function startOnce<Work>({ send, waiting, io, note }: StartOptions<Work>): Promise<Started<Work>> {
  const { clock, interrupt } = io;
  const { idempotencyKey, reconnectMs, timeoutMs } = waiting;
  const key = idempotencyKey ?? randomUUID();
  const retryMs = Math.min(reconnectMs, timeoutMs ?? reconnectMs);
  const reconnection = new Reconnection({ clock, reconnectMs: retryMs, note });
  for (;;) {
    try {
      return await send(key);
    } catch (error) {
      if (!(error instanceof Failure) || !canBeRepeated(error, reconnection.isLost)) throw error;
      if (reconnection.failed(error) || interrupt.aborted) throw error;
    }
    await clock.wait(RETRY_MS, interrupt);
  }
}

/** True if the answer was lost, or if the service still works on the request whose answer was lost. */
function canBeRepeated(failure: Failure, wasLost: boolean): boolean {
  if (failure instanceof ConnectionLost) return wasLost || failure.mayHaveArrived;
  return wasLost && failure.code === 'idempotency_key_in_use';
}

/** Pauses between two polls, in milliseconds: the first is short, since many jobs end soon; each is twice the one before. */
const POLL_MS_MIN = 20;
const POLL_MS_MAX = 200;
/** How long cancelled work may take to end, in milliseconds. */
const CANCEL_MS_MAX = 60_000;

/** The work as the last poll showed it. */
export type Followed = { readonly isConcluded: boolean };

export type FollowOptions<Work extends Followed> = {
  /** Name of the work for messages: `job j1`. */
  readonly name: string;
  readonly io: Pick<CommandIo, 'clock' | 'interrupt'>;
  /** Time on the clock of `io` at which the command stops waiting; null: never. */
  readonly deadlineMs: number | null;
  readonly cancelsOnTimeout: boolean;
  /** How long a lost service is asked again, in milliseconds. */
  readonly reconnectMs: number;
  /** Asks the service for the work once. */
  look(deadlineMs: number): Promise<Work>;
  cancel(): Promise<void>;
  /** Resolves when the work may have changed, so that the next poll comes early; null: polls are only timed. */
  readonly wake: (() => Promise<void>) | null;
  /** Receives every state of the work that a poll has shown. */
  readonly report: (work: Work) => void;
  /** Receives a sentence about a lost connection or a cancel. */
  readonly note: (text: string) => void;
};

/** Reason to stop following: a signal, or the time of --timeout. The work may have ended nevertheless. */
export type Stop = 'interrupt' | 'timeout';

/** The work as last seen. It is concluded unless `stop` is set. */
export type Ending<Work extends Followed> = { readonly last: Work; readonly stop: Stop | null };

/**
 * Polls the work until it concludes. At an interrupt it cancels the work and waits for its end; at the deadline it does
 * the same with `cancelsOnTimeout`, else it stops at once.
 * @throws Failure if the service stays lost or does not know the work.
 */
export async function follow<Work extends Followed>(first: Work, options: FollowOptions<Work>): Promise<Ending<Work>> {
  return new Follower(first, options).run();
}

class Follower<Work extends Followed> {
  readonly #options: FollowOptions<Work>;
  #last: Work;
  #stop: Stop | null = null;
  #giveUpMs: number;

  constructor(first: Work, options: FollowOptions<Work>) {
    this.#options = options;
    this.#last = first;
    this.#giveUpMs = options.deadlineMs ?? Number.POSITIVE_INFINITY;
  }

  async run(): Promise<Ending<Work>> {
    for (let pauseMs = POLL_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, POLL_MS_MAX)) {
      this.#options.report(this.#last);
      if (this.#last.isConcluded || (await this.#isToStop())) return { last: this.#last, stop: this.#stop };
      const woken = this.#options.wake?.();
      await (woken === undefined ? this.#pause(pauseMs) : Promise.race([this.#pause(pauseMs), woken]));
      await this.#look();
    }
  }

  /** Cancels the work at an interrupt or a timeout. @returns true if the end of the work is not waited for. */
  async #isToStop(): Promise<boolean> {
    const { cancelsOnTimeout, io } = this.#options;
    const now = io.clock.nowMs();
    if (this.#stop !== null) return now >= this.#giveUpMs;
    if (io.interrupt.aborted) this.#stop = 'interrupt';
    else if (now >= this.#giveUpMs) this.#stop = 'timeout';
    else return false;
    if (this.#stop === 'timeout' && !cancelsOnTimeout) return true;
    this.#giveUpMs = now + CANCEL_MS_MAX;
    return !(await this.#cancel());
  }

  /** @returns false if the request to cancel did not reach the service. */
  async #cancel(): Promise<boolean> {
    const { name, cancel, note } = this.#options;
    try {
      note(`${name} is being cancelled`);
      await cancel();
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      note(`${name} could not be cancelled: ${error.message}`);
      // After a refusal the next poll shows whether the work has ended.
      return !(error instanceof ConnectionLost);
    }
  }

  /** Ends early at the first interrupt, but not after an interrupt that was already handled. */
  #pause(ms: number): Promise<void> {
    const { clock, interrupt } = this.#options.io;
    return clock.wait(Math.min(ms, Math.max(this.#leftMs(), 0)), this.#stop === null ? interrupt : null);
  }

  #leftMs(): number {
    return this.#giveUpMs - this.#options.io.clock.nowMs();
  }

  /** Polls once. While the service is lost it polls again, for at most `reconnectMs`. */
  async #look(): Promise<void> {
    const { look, io, reconnectMs, note } = this.#options;
    const reconnection = new Reconnection({ clock: io.clock, reconnectMs, note });
    for (;;) {
      const isOver = this.#leftMs() <= 0 || (this.#stop === null && io.interrupt.aborted);
      if (isOver) return;
      try {
        this.#last = await look(Math.max(this.#leftMs(), 1));
        return;
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw this.#explained(error);
        if (reconnection.failed(error) && this.#leftMs() > 0) throw this.#explained(error);
      }
      await this.#pause(RETRY_MS);
    }
  }

  /** Reports a refusal as a lost connection: the service has accepted the work, and only its outcome is unknown. */
  #explained(error: unknown): unknown {
    if (!(error instanceof Failure)) return error;
    const message = `the outcome of ${this.#options.name} is unknown: ${error.message}`;
    return new ConnectionLost(message, { mayHaveArrived: true, code: error.code });
  }
}

/** Receives what a command prints about the work that it starts. */
export type WorkOutput<Work> = {
  report(work: Work): void;
  note(text: string): void;
  /** An earlier request with the same idempotency key started the work. */
  replayed(work: Work): void;
  /** The service has accepted the work, and the command does not wait for it. */
  accepted(work: Work): void;
  /** The end if there is no work, or if its outcome is unknown. */
  failure(failure: Failure): void;
  /** Nothing more is printed. */
  end(): void;
};

/** Runs a command that starts work. A failure is printed and gives the exit status. */
export async function withOutput(
  output: Pick<WorkOutput<never>, 'failure' | 'end'>,
  run: () => Promise<ExitStatus>,
): Promise<ExitStatus> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    output.failure(error);
    return error.exitStatus;
  } finally {
    output.end();
  }
}

export type WorkCommand<Work extends Outcome> = {
  readonly waiting: Waiting;
  readonly io: Pick<CommandIo, 'clock' | 'interrupt'>;
  readonly output: WorkOutput<Work>;
  /** Name of the work for messages: `job j1`. */
  readonly nameOf: (work: Work) => string;
  readonly send: StartOptions<Work>['send'];
  readonly look: (started: Work, deadlineMs: number) => Promise<Work>;
  readonly cancel: (started: Work) => Promise<void>;
  readonly wake: FollowOptions<Work>['wake'];
  /** Prints the end of work that was followed. @returns the exit status, which may differ from the given one. */
  readonly result: (ending: Ending<Work>, exitStatus: ExitStatus) => ExitStatus | Promise<ExitStatus>;
};

/** Starts work, follows it to its end if the command waits, and gives the exit status. @throws Failure */
export async function startAndFollow<Work extends Outcome>(command: WorkCommand<Work>): Promise<ExitStatus> {
  const { waiting, io, output } = command;
  const { timeoutMs, cancelsOnTimeout, reconnectMs } = waiting;
  const startedMs = io.clock.nowMs();
  const note = (text: string): void => output.note(text);
  const { work, wasReplayed } = await startOnce({ send: command.send, waiting, io, note });
  if (wasReplayed) output.replayed(work);
  if (!waiting.waits && !io.interrupt.aborted) {
    output.accepted(work);
    return EXIT.done;
  }
  const ending = await follow(work, {
    name: command.nameOf(work),
    look: (deadlineMs) => command.look(work, deadlineMs),
    cancel: () => command.cancel(work),
    wake: command.wake,
    io,
    deadlineMs: timeoutMs === null ? null : startedMs + timeoutMs,
    cancelsOnTimeout,
    reconnectMs,
    report: (seen) => output.report(seen),
    note,
  });
  return await command.result(ending, exitStatusOf(ending, io.interrupt));
}

/** Work that was followed to its end, with its outcome; the outcome is null while the work runs. */
export type Outcome = Followed & { readonly isCompleted: boolean; readonly outcome: string | null };

/** Exit status of a command that followed its work. */
function exitStatusOf({ last, stop }: Ending<Outcome>, interrupt: AbortSignal): ExitStatus {
  if (stop === 'interrupt') return interruptStatus(interrupt);
  if (last.isCompleted) return EXIT.done;
  const wasCutShort = stop === 'timeout' && (!last.isConcluded || last.outcome === 'cancelled');
  return wasCutShort ? EXIT.timedOut : EXIT.failed;
}
