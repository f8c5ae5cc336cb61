import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, type IncomingChannel, type OutgoingChannel, OutgoingEnd } from './channel.ts';
import { deliver } from './socket-handle.ts';

/** Runs a command that takes the stream on its standard input. */
export class ExecOutgoingChannel implements OutgoingChannel {
  readonly hasReverse = false;
  readonly #command: Command;
  readonly #end = new OutgoingEnd();
  /** Set once the command has closed its input before it had everything. */
  #exitTimer: NodeJS.Timeout | null = null;

  constructor(argv: readonly string[]) {
    this.#command = new Command(argv, 'out');
    this.#command.child.stdin?.on('error', (error) => this.#inputBroke(error));
    this.#command.onExit((error) => this.#exited(error));
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#command.child.stdin?.write(bytes, (error) => {
      if (!error) done();
    });
  }

  onReverse(): void {}

  onFailure(listener: (error: TransferError) => void): void {
    this.#end.onFailure(listener);
  }

  finish(): Promise<void> {
    const finished = this.#end.finish();
    this.#command.child.stdin?.end();
    return finished;
  }

  destroy(): void {
    this.#end.mute();
    if (this.#exitTimer !== null) clearTimeout(this.#exitTimer);
    this.#command.kill();
  }

  #inputBroke(error: Error): void {
    this.#exitTimer ??= setTimeout(() => this.#end.fail(channelError(error, this.#command.name)), EXIT_MS_MAX);
  }

  #exited(error: TransferError | null): void {
    const hasEverything = this.#end.isFinishing && this.#exitTimer === null;
    if (this.#exitTimer !== null) clearTimeout(this.#exitTimer);
    const message = `${this.#command.name} ended before it had the whole stream`;
    if (error !== null) this.#end.fail(error);
    else if (hasEverything) this.#end.finished();
    else this.#end.fail({ code: 'command_failed', message });
  }
}

/** Runs a command that gives the stream on its standard output. */
export class ExecIncomingChannel implements IncomingChannel {
  readonly #command: Command;
  #ended: ((error: TransferError | null) => void) | null = null;
  #outputEnded = false;
  #exit: { readonly error: TransferError | null } | null = null;

  constructor(argv: readonly string[]) {
    this.#command = new Command(argv, 'in');
    this.#command.onExit((error) => {
      this.#exit = { error };
      this.#settle();
    });
  }

  read(buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void): void {
    const output = this.#command.child.stdout;
    output?.on('data', (chunk: Buffer) => deliver(chunk, buffer, received));
    output?.on('end', () => {
      this.#outputEnded = true;
      this.#settle();
    });
  }

  onEnd(listener: (error: TransferError | null) => void): void {
    this.#ended = listener;
    this.#settle();
  }

  write(): void {}

  close(): void {
    this.#ended = null;
    this.#command.child.stdout?.removeAllListeners('data');
    this.#command.child.stdout?.resume();
    this.#command.endSoon();
  }

  reset(): void {
    this.#ended = null;
    this.#command.kill();
  }

  #settle(): void {
    if (this.#exit === null) return;
    if (this.#exit.error !== null) this.#ended?.(this.#exit.error);
    else if (this.#outputEnded) this.#ended?.(null);
  }
}

/** The environment of a command: nothing of the service's own. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };
/** How much of a command's error output is kept for the error message, in bytes. */
const ERROR_TEXT_BYTES_MAX = 1024;
/**
 * Milliseconds that a command has to exit once nothing is wanted of it any more, and that its error output is awaited
 * once it has exited.
 */
export const EXIT_MS_MAX = 1000;

/**
 * A child process and how it ended. It leads a process group of its own, and what it started is ended with it, unless
 * the command exited by itself and left none of its pipes open: a program that it put into the background may go on.
 */
export class Command {
  readonly child: ChildProcess;
  readonly name: string;
  readonly #startTime: string | null;
  #errorText = '';
  #isOver = false;

  constructor(argv: readonly string[], direction: 'in' | 'out') {
    const [file = '', ...rest] = argv;
    this.name = `exec:${argv.at(-1) ?? ''}`;
    const stdio = direction === 'out' ? (['pipe', 'ignore', 'pipe'] as const) : (['ignore', 'pipe', 'pipe'] as const);
    this.child = spawn(file, rest, { env: ENVIRONMENT, stdio: [...stdio], detached: true });
    this.#startTime = this.child.pid === undefined ? null : startTimeOf(this.child.pid);
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.#errorText = (this.#errorText + chunk.toString('utf8')).slice(0, ERROR_TEXT_BYTES_MAX);
    });
    this.child.on('close', () => {
      this.#isOver = true;
    });
  }

  /** `error` is null if the command exited with status 0. Called once. */
  onExit(listener: (error: TransferError | null) => void): void {
    const told = Promise.withResolvers<TransferError | null>();
    void told.promise.then(listener);
    this.child.on('error', (error) => told.resolve(channelError(error, this.name)));
    this.child.on('close', (status, signal) => told.resolve(this.#verdict(status, signal)));
    this.child.on('exit', (status, signal) => {
      this.#afterOutput(() => {
        // A program that it left behind holds its error output open: that says nothing of how the command ended.
        const timer = setTimeout(() => {
          told.resolve(this.#verdict(status, signal));
          this.kill();
        }, EXIT_MS_MAX);
        this.child.once('close', () => clearTimeout(timer));
      });
    });
  }

  /** Calls `then` when the command's output, if it is read, has ended: a program left behind may still write it. */
  #afterOutput(then: () => void): void {
    const { stdout } = this.child;
    if (stdout === null || stdout.readableEnded || stdout.destroyed) then();
    else stdout.once('close', then);
  }

  #verdict(status: number | null, signal: NodeJS.Signals | null): TransferError | null {
    if (status === 0) return null;
    const how = signal === null ? `with status ${status}` : `by signal ${signal}`;
    const said = this.#errorText === '' ? '' : `: ${this.#errorText.trim()}`;
    return { code: 'command_failed', message: `${this.name} ended ${how}${said}` };
  }

  /** Nothing more is wanted of the command: it has a moment to exit by itself. */
  endSoon(): void {
    if (this.#isOver) return;
    const timer = setTimeout(() => this.kill(), EXIT_MS_MAX);
    this.child.once('close', () => clearTimeout(timer));
  }

  /** Ends the command and what it started. Does nothing once the command and its pipes are gone. */
  kill(): void {
    const { pid, stdin, stdout, stderr } = this.child;
    if (pid === undefined || this.#isOver) return;
    if (isGroupStill(pid, this.#startTime)) {
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It is gone already.
      }
    }
    // Something that left the group may hold the pipes open.
    for (const pipe of [stdin, stdout, stderr]) pipe?.destroy();
  }
}

/**
 * True if the group `pid` can only be the one that was made with the process `pid` which started at `startTime`. The
 * number of a group is not given away while the group has members; without members it may be another process's now.
 */
function isGroupStill(pid: number, startTime: string | null): boolean {
  const now = startTimeOf(pid);
  return now === null || now === startTime;
}

/** When a process started, as /proc has it (field 22 of `stat`); null if there is no such process. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name before it, in brackets, may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
