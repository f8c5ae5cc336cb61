import type net from 'node:net';
import type { TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, type IncomingChannel } from './channel.ts';
import { breakOff, deliver } from './socket-handle.ts';

/** Buffer for the bytes before `read`, in bytes: more than the first bytes of any kind of channel. */
const FIRST_BYTES = 4096;

/** Examines all first bytes that have come. Reading continues on `more`, and pauses until `read` on `enough`. */
export type FirstLook = (bytes: Uint8Array) => 'more' | 'enough';

/** Makes the socket, which calls `buffer` for the destination before each read, and `received` after it. */
type OpenSocket = (buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void) => net.Socket;

/** A connected socket. It reads at once, and keeps the first bytes until `read` is called. */
export class SocketIncomingChannel implements IncomingChannel {
  readonly #socket: net.Socket;
  readonly #look: FirstLook;
  readonly #first = new Uint8Array(new SharedArrayBuffer(FIRST_BYTES));
  /** The destination of the first read after a pause, which Node requests before the pause. */
  readonly #second = new Uint8Array(new SharedArrayBuffer(FIRST_BYTES));
  /** The buffer that Node has, if it is one of the two above: bytes in it are copied to the reader. */
  #own: Uint8Array<SharedArrayBuffer> | null = null;
  #firstCount = 0;
  #isHeld = false;
  #reader: { buffer: () => Uint8Array<SharedArrayBuffer>; received: (count: number) => void } | null = null;
  #ended: ((error: TransferError | null) => void) | null = null;
  #outcome: { error: TransferError | null } | null = null;

  constructor(open: OpenSocket, name: string, look: FirstLook = () => 'enough') {
    this.#look = look;
    this.#socket = open(
      () => this.#buffer(),
      (count) => this.#received(count),
    );
    this.#socket.on('error', (error) => this.#end(channelError(error, name)));
    this.#socket.on('end', () => this.#end(null));
    this.#socket.on('close', () => this.#end({ code: 'peer_closed', message: `${name}: the connection was closed` }));
  }

  read(buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void): void {
    this.#reader = { buffer, received };
    if (this.#firstCount > 0) {
      buffer().set(this.#first.subarray(0, this.#firstCount));
      received(this.#firstCount);
    }
    this.#socket.resume();
  }

  onEnd(listener: (error: TransferError | null) => void): void {
    this.#ended = listener;
    if (this.#outcome !== null) listener(this.#outcome.error);
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#discard();
    this.#socket.end();
  }

  reset(): void {
    this.#discard();
    breakOff(this.#socket);
  }

  /** Later bytes are read and ignored. */
  #discard(): void {
    this.#ended = null;
    this.#reader = { buffer: () => this.#first, received: () => {} };
  }

  #buffer(): Uint8Array<SharedArrayBuffer> {
    if (this.#reader !== null) {
      this.#own = null;
      return this.#reader.buffer();
    }
    this.#own = this.#isHeld ? this.#second : this.#first.subarray(this.#firstCount);
    return this.#own;
  }

  #received(count: number): void {
    if (this.#reader !== null) {
      const { buffer, received } = this.#reader;
      if (this.#own === null) received(count);
      else deliver(this.#own.subarray(0, count), buffer, received);
      return;
    }
    this.#firstCount += count;
    const seen = this.#look(this.#first.subarray(0, this.#firstCount));
    // The examination may have called `read`, or closed the channel.
    if (seen !== 'enough' || this.#reader !== null) return;
    this.#isHeld = true;
    this.#socket.pause();
  }

  #end(error: TransferError | null): void {
    if (this.#outcome !== null) return;
    this.#outcome = { error };
    this.#ended?.(error);
  }
}
