import type { TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, type IncomingChannel, type OutgoingChannel } from './channel.ts';
import { Command, EXIT_MS_MAX } from './exec-command.ts';
import { OutgoingEnd } from './outgoing-end.ts';
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
