import type net from 'node:net';
import type { TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, type IncomingChannel } from './channel.ts';
import { breakOff, deliver } from './socket-handle.ts';

/** What comes before `read` is kept here: large enough for any stream's beginning. */
const FIRST_BYTES = 4096;

/** Looks at the first bytes of a connection: they are read on until this says `enough`, then not before `read`. */
export type FirstLook = (bytes: Uint8Array) => 'more' | 'enough';

/** Makes the socket, which reads into what `buffer` gives, asked anew for each read, and tells `received` of each. */
type OpenSocket = (buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void) => net.Socket;

/** A connected socket. It begins to read at once; what comes first is kept until `read` is called. */
export class SocketIncomingChannel implements IncomingChannel {
  readonly #socket: net.Socket;
  readonly #look: FirstLook;
  readonly #first = new Uint8Array(new SharedArrayBuffer(FIRST_BYTES));
  /** Node asks for the next buffer right after a read: what it reads first after a pause comes here. */
  readonly #second = new Uint8Array(new SharedArrayBuffer(FIRST_BYTES));
  /** The buffer that Node has, if it is one of the two above: what comes there has to be handed on. */
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

  /** Whatever still comes is read and forgotten. */
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
    // A look may have led to `read`, or to an end.
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
