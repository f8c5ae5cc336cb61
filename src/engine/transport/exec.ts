import { type ChildProcess, spawn } from 'node:child_process';
import type { TransferError } from '../../domain/transfer-port.ts';
import { channelError, type IncomingChannel, type OutgoingChannel } from './channel.ts';
import { deliver } from './read-into.ts';

/** The environment of a command: nothing of the service's own. */
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };
/** How much of a command's error output is kept for the error message, in bytes. */
const ERROR_TEXT_BYTES_MAX = 1024;

/** A command that closed its input has this long to exit, and so to say why; milliseconds. */
const EXIT_MS_MAX = 1000;

/** Runs a command that takes the stream on its standard input. */
export class ExecOutgoingChannel implements OutgoingChannel {
  readonly hasReverse = false;
  readonly #command: Command;
  #failed: ((error: TransferError) => void) | null = null;
  #failure: TransferError | null = null;
  #finishing: PromiseWithResolvers<void> | null = null;
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
    this.#failed = listener;
    if (this.#failure !== null) listener(this.#failure);
  }

  finish(): Promise<void> {
    this.#finishing = Promise.withResolvers<void>();
    if (this.#failure !== null) this.#finishing.reject(this.#failure);
    this.#command.child.stdin?.end();
    return this.#finishing.promise;
  }

  destroy(): void {
    this.#failed = null;
    if (this.#exitTimer !== null) clearTimeout(this.#exitTimer);
    this.#command.kill();
  }

  #inputBroke(error: Error): void {
    this.#exitTimer ??= setTimeout(() => this.#fail(channelError(error, this.#command.name)), EXIT_MS_MAX);
  }

  #exited(error: TransferError | null): void {
    const hasEverything = this.#finishing !== null && this.#exitTimer === null;
    if (this.#exitTimer !== null) clearTimeout(this.#exitTimer);
    if (error !== null) this.#fail(error);
    else if (hasEverything) this.#finishing?.resolve();
    else this.#fail({ code: 'command_failed', message: `${this.#command.name} ended before it had the whole stream` });
  }

  #fail(error: TransferError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#finishing?.reject(error);
    this.#failed?.(error);
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

/** A child process and how it ended. */
class Command {
  readonly child: ChildProcess;
  readonly name: string;
  #errorText = '';

  constructor(argv: readonly string[], direction: 'in' | 'out') {
    const [file = '', ...rest] = argv;
    this.name = `exec:${argv.at(-1) ?? ''}`;
    const stdio = direction === 'out' ? (['pipe', 'ignore', 'pipe'] as const) : (['ignore', 'pipe', 'pipe'] as const);
    this.child = spawn(file, rest, { env: ENVIRONMENT, stdio: [...stdio], detached: true });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.#errorText = (this.#errorText + chunk.toString('utf8')).slice(0, ERROR_TEXT_BYTES_MAX);
    });
  }

  /** `error` is null if the command exited with status 0. */
  onExit(listener: (error: TransferError | null) => void): void {
    this.child.on('error', (error) => listener(channelError(error, this.name)));
    this.child.on('close', (status, signal) => {
      if (status === 0) return listener(null);
      const how = signal === null ? `with status ${status}` : `by signal ${signal}`;
      const said = this.#errorText === '' ? '' : `: ${this.#errorText.trim()}`;
      listener({ code: 'command_failed', message: `${this.name} ended ${how}${said}` });
    });
  }

  /** Ends the command and what it started: they are a process group of their own. */
  kill(): void {
    if (this.child.pid === undefined || this.child.exitCode !== null) return;
    try {
      process.kill(-this.child.pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }
}
