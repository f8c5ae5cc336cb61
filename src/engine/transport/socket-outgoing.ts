import net from 'node:net';
import type { TransferError } from '../../domain/transfer-port.ts';
import { acknowledgementGauge } from './acknowledged.ts';
import { breakOff } from './break-off.ts';
import { channelError, type OutgoingChannel } from './channel.ts';

const KEEP_ALIVE_MS = 10_000;

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
  /** Made when it is first asked, which has to be before the first byte is written. */
  #gauge: ReturnType<typeof acknowledgementGauge> | undefined;
  #writtenBytes = 0;
  #failed: ((error: TransferError) => void) | null = null;
  #failure: TransferError | null = null;
  #finishing: PromiseWithResolvers<void> | null = null;

  constructor(socket: net.Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    socket.on('error', (error) => this.#fail(channelError(error, name)));
    socket.on('end', () => this.#peerEnded());
    socket.on('close', () => this.#fail({ code: 'peer_closed', message: `${name}: the connection was closed` }));
    socket.resume();
  }

  acknowledgedBytes(): number | null {
    if (this.#gauge === undefined) this.#gauge = acknowledgementGauge(this.#socket);
    return this.#gauge?.(this.#writtenBytes) ?? null;
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#writtenBytes += bytes.length;
    this.#socket.write(bytes, (error) => {
      if (error) this.#fail(channelError(error, this.#name));
      else done();
    });
  }

  onReverse(listener: (bytes: Uint8Array) => void): void {
    this.#socket.on('data', listener);
  }

  onFailure(listener: (error: TransferError) => void): void {
    this.#failed = listener;
    if (this.#failure !== null) listener(this.#failure);
  }

  finish(): Promise<void> {
    this.#finishing = Promise.withResolvers<void>();
    if (this.#failure !== null) this.#finishing.reject(this.#failure);
    else if (this.#socket.readableEnded) this.#finishing.resolve();
    this.#socket.end();
    return this.#finishing.promise;
  }

  destroy(reason?: 'cancelled'): void {
    this.#failed = null;
    this.#socket.removeAllListeners('data');
    if (reason === 'cancelled') {
      this.#socket.resume();
      this.#socket.end();
    } else {
      breakOff(this.#socket);
    }
  }

  #peerEnded(): void {
    if (this.#finishing !== null) this.#finishing.resolve();
    else this.#fail({ code: 'peer_closed', message: `${this.#name}: the peer closed the connection` });
  }

  #fail(error: TransferError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#finishing?.reject(error);
    this.#failed?.(error);
  }
}
