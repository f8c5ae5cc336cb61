import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, type IncomingChannel, type OutgoingChannel, OutgoingEnd } from './channel.ts';
import { deliver } from './socket-handle.ts';

/** Runs a command that reads the stream from its standard input. */
export class ExecOutgoingChannel implements OutgoingChannel {
  readonly hasReverse = false;
  readonly #command: Command;
  readonly #end = new OutgoingEnd();
  /** Set if the command closed its input before the end of the stream: it has EXIT_MS_MAX to exit with its own error. */
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

/** Runs a command that writes the stream to its standard output. */
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

/** The whole environment of a command. It contains no variable of the service. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };
/** Longest part of a command's error output in an error message, in characters. */
const ERROR_TEXT_BYTES_MAX = 1024;
/**
 * Time for a command to exit when it is not needed any more, and for the end of its error output after it has exited;
 * milliseconds.
 */
export const EXIT_MS_MAX = 1000;

/**
 * A child process and its exit. It has its own process group, which is killed with it. Only if the command exits by itself
 * and all its pipes are closed, programs that it started in the background continue.
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
        // A program in the background may keep the error output open. The exit status of the command is known.
        const timer = setTimeout(() => {
          told.resolve(this.#verdict(status, signal));
          this.kill();
        }, EXIT_MS_MAX);
        this.child.once('close', () => clearTimeout(timer));
      });
    });
  }

  /** Calls `then` at the end of the output, if that is read: a program in the background may still write to it. */
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

  /** The command is not needed any more: it is killed if it does not exit within EXIT_MS_MAX. */
  endSoon(): void {
    if (this.#isOver) return;
    const timer = setTimeout(() => this.kill(), EXIT_MS_MAX);
    this.child.once('close', () => clearTimeout(timer));
  }

  /** Kills the command and its process group. Has no effect when the command has exited and its pipes are closed. */
  kill(): void {
    const { pid, stdin, stdout, stderr } = this.child;
    if (pid === undefined || this.#isOver) return;
    if (isGroupStill(pid, this.#startTime)) {
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // The group has ended already.
      }
    }
    // A process that left the group may keep the pipes open.
    for (const pipe of [stdin, stdout, stderr]) pipe?.destroy();
  }
}

/**
 * True if the process group `pid` is still the group of the process that started at `startTime`. The system does not reuse
 * the number while the group has members; afterwards another process may have it.
 */
function isGroupStill(pid: number, startTime: string | null): boolean {
  const now = startTimeOf(pid);
  return now === null || now === startTime;
}

/** The start time of a process, field 22 of /proc/PID/stat; null if there is no such process. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The process name in brackets before it may contain any character.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
