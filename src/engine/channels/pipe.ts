import type net from 'node:net';
import type { TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, type OutgoingChannel } from './channel.ts';
import { OutgoingEnd } from './outgoing-end.ts';
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
  readonly #end = new OutgoingEnd();

  constructor(pipe: net.Socket, name: string) {
    this.#pipe = pipe;
    this.#name = name;
    pipe.on('error', (error) => this.#end.fail(channelError(error, name)));
    pipe.on('close', () => this.#end.fail({ code: 'peer_closed', message: `${name}: the pipe was closed` }));
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#pipe.write(bytes, (error) => {
      if (error) this.#end.fail(channelError(error, this.#name));
      else done();
    });
  }

  onReverse(): void {}

  onFailure(listener: (error: TransferError) => void): void {
    this.#end.onFailure(listener);
  }

  finish(): Promise<void> {
    const finished = this.#end.finish();
    this.#pipe.once('finish', () => this.#end.finished());
    this.#pipe.end();
    return finished;
  }

  destroy(): void {
    this.#end.mute();
    this.#pipe.destroy();
  }
}
