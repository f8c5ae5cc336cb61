import type net from 'node:net';
import type { TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, type OutgoingChannel } from './channel.ts';
import { SocketIncomingChannel } from './socket-incoming.ts';

/*
 * Pipes as channels. Node has one class for unix sockets and pipes, but a pipe goes one way only: it cannot be shut
 * down, only closed, and its other end says nothing.
 */

/** The end of a pipe that is read. */
export class PipeIncomingChannel extends SocketIncomingChannel {
  override write(): void {}

  override close(): void {
    this.reset();
  }
}

/** The end of a pipe that is written. What has been written counts as taken: the reader cannot say more. */
export class PipeOutgoingChannel implements OutgoingChannel {
  readonly hasReverse = false;
  readonly #pipe: net.Socket;
  readonly #name: string;
  #failed: ((error: TransferError) => void) | null = null;
  #failure: TransferError | null = null;
  #finishing: PromiseWithResolvers<void> | null = null;
  #isFinished = false;

  constructor(pipe: net.Socket, name: string) {
    this.#pipe = pipe;
    this.#name = name;
    pipe.on('error', (error) => this.#fail(channelError(error, name)));
    pipe.on('close', () => this.#fail({ code: 'peer_closed', message: `${name}: the pipe was closed` }));
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#pipe.write(bytes, (error) => {
      if (error) this.#fail(channelError(error, this.#name));
      else done();
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
    this.#pipe.once('finish', () => {
      this.#isFinished = true;
      this.#finishing?.resolve();
    });
    this.#pipe.end();
    return this.#finishing.promise;
  }

  destroy(): void {
    this.#failed = null;
    this.#pipe.destroy();
  }

  #fail(error: TransferError): void {
    if (this.#failure !== null || this.#isFinished) return;
    this.#failure = error;
    this.#finishing?.reject(error);
    this.#failed?.(error);
  }
}
