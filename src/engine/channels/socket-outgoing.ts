import { readSync } from 'node:fs';
import net from 'node:net';
import type { TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, type OutgoingChannel, OutgoingEnd } from './channel.ts';
import { acknowledgementGauge, breakOff, descriptorOf } from './socket-handle.ts';

const KEEP_ALIVE_MS = 10_000;
/** Bytes that are read after a failed write: more than a target, or a server of another protocol, sends before it closes. */
const LAST_WORDS_BYTES_MAX = 64 * 1024;

type TcpTarget = {
  readonly host: string;
  readonly port: number;
  readonly family?: 4 | 6;
  readonly keepAlive?: boolean;
};

/** Connects a main channel to a TCP or unix socket. Rejects with a TransferError; `signal` gives up. */
export function connectSocket(
  target: TcpTarget | { readonly path: string },
  signal: AbortSignal,
): Promise<OutgoingChannel> {
  const name = 'path' in target ? `unix:${target.path}` : `tcp:${target.host}:${target.port}`;
  const { promise, resolve, reject } = Promise.withResolvers<OutgoingChannel>();
  const socket = net.connect({
    noDelay: true,
    keepAlive: true,
    ...target,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    allowHalfOpen: true,
  });
  const fail = (error: unknown) => {
    socket.destroy();
    reject(channelError(error, name));
  };
  const giveUp = () => fail(signal.reason);
  signal.addEventListener('abort', giveUp, { once: true });
  socket.once('error', fail);
  socket.once('connect', () => {
    signal.removeEventListener('abort', giveUp);
    socket.off('error', fail);
    resolve(new SocketOutgoingChannel(socket, name));
  });
  return promise;
}

export class SocketOutgoingChannel implements OutgoingChannel {
  readonly hasReverse = true;
  readonly #socket: net.Socket;
  readonly #name: string;
  /** Made by the first call of `acknowledgedBytes`, which must come before the first write. */
  #gauge: ReturnType<typeof acknowledgementGauge> | undefined;
  #writtenBytes = 0;
  #reverse: ((bytes: Uint8Array) => void) | null = null;
  readonly #end = new OutgoingEnd();

  constructor(socket: net.Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    socket.on('error', (error) => this.#end.fail(channelError(error, name)));
    socket.on('end', () => this.#peerEnded());
    socket.on('close', () => this.#end.fail({ code: 'peer_closed', message: `${name}: the connection was closed` }));
    socket.resume();
  }

  acknowledgedBytes(): number | null {
    if (this.#gauge === undefined) this.#gauge = acknowledgementGauge(this.#socket);
    return this.#gauge?.(this.#writtenBytes) ?? null;
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#writtenBytes += bytes.length;
    this.#socket.write(bytes, (error) => {
      if (error === null || error === undefined) return done();
      this.#readLastWords();
      this.#end.fail(channelError(error, this.#name));
    });
  }

  onReverse(listener: (bytes: Uint8Array) => void): void {
    this.#reverse = listener;
    this.#socket.on('data', listener);
  }

  onFailure(listener: (error: TransferError) => void): void {
    this.#end.onFailure(listener);
  }

  finish(): Promise<void> {
    const finished = this.#end.finish();
    if (this.#socket.readableEnded) this.#end.finished();
    this.#socket.end();
    return finished;
  }

  destroy(reason?: 'cancelled'): void {
    this.#end.mute();
    this.#reverse = null;
    this.#socket.removeAllListeners('data');
    if (reason === 'cancelled') {
      this.#socket.resume();
      this.#socket.end();
    } else {
      breakOff(this.#socket);
    }
  }

  /**
   * Reads the bytes that the peer sent before it closed: they may contain the reason, and Node discards them after a failed
   * write. The socket is still open during the callback of the write.
   */
  #readLastWords(): void {
    const descriptor = descriptorOf(this.#socket);
    if (descriptor === null || this.#reverse === null) return;
    const words = Buffer.alloc(LAST_WORDS_BYTES_MAX);
    try {
      const count = readSync(descriptor, words, 0, words.length, null);
      if (count > 0) this.#reverse(words.subarray(0, count));
    } catch {
      // There are none.
    }
  }

  #peerEnded(): void {
    if (this.#end.isFinishing) this.#end.finished();
    else this.#end.fail({ code: 'peer_closed', message: `${this.#name}: the peer closed the connection` });
  }
}
