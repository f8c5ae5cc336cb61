import type { TransferError } from '../../domain/ports/migration-session.ts';

/** The sending side of a main channel: bytes out in order, and, on sockets, a reverse direction. */
export interface OutgoingChannel {
  /** True if the peer can answer on this channel. */
  readonly hasReverse: boolean;
  /** Sends `bytes`; `done` is called when they may be overwritten. Order is kept. Nothing is copied. */
  write(bytes: Uint8Array, done: () => void): void;
  /** Bytes that came in the reverse direction; a view that is valid during the call only. */
  onReverse(listener: (bytes: Uint8Array) => void): void;
  /** Bytes of those written that the peer's system has acknowledged; null where that is not known. */
  acknowledgedBytes?(): number | null;
  /** Called once if the channel breaks or the peer closes it before `finish`. */
  onFailure(listener: (error: TransferError) => void): void;
  /**
   * Says that nothing more follows and resolves when the peer has taken everything: it closed its side in order (a
   * socket), exited with 0 (a command), or every write succeeded and the file has its name (a file; forced to the disk only where it
   * replaces another).
   */
  finish(): Promise<void>;
  /**
   * Lets go at once; the peer sees a broken stream. Harmless after `finish`. After a cancel a socket is closed in order
   * instead, behind what was written: a peer can tell that from a broken connection.
   */
  destroy(reason?: 'cancelled'): void;
}

/** The receiving side of a main channel. */
export interface IncomingChannel {
  /**
   * Begins to read: fills what `buffer` gives and tells `received` how much. Both are called synchronously one
   * after the other; `buffer` is asked anew for each read.
   */
  read(buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void): void;
  /** Called once when the peer has sent everything it will, or the channel broke: then with an error. */
  onEnd(listener: (error: TransferError | null) => void): void;
  /** Bytes of the reverse direction that the peer has not made room for. */
  readonly unsentBytes?: number;
  /** Sends a message in the reverse direction, where there is one. */
  write(bytes: Uint8Array): void;
  /** Closes in order, after what was written has left. */
  close(): void;
  /** Closes so that the sender sees that its stream was not taken. */
  reset(): void;
}

/** Whatever was thrown while a channel was opened or closed, in our words. */
export function toTransferError(thrown: unknown, what: string): TransferError {
  return thrown instanceof Error ? channelError(thrown, what) : (thrown as TransferError);
}

/** An error of the operating system in our words; `what` names the address. */
export function channelError(error: unknown, what: string): TransferError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const known = SYSTEM_ERRORS[code];
  const detail = error instanceof Error ? error.message : String(error);
  if (known === undefined) return { code: 'channel_failed', message: `${what}: ${detail}` };
  return { code: known.code, message: `${what}: ${known.text} (${code})` };
}

const SYSTEM_ERRORS: Readonly<Record<string, { readonly code: TransferError['code']; readonly text: string }>> = {
  ECONNREFUSED: { code: 'connection_refused', text: 'the connection was refused' },
  ECONNRESET: { code: 'peer_reset', text: 'the peer reset the connection' },
  EPIPE: { code: 'peer_closed', text: 'the peer closed the connection' },
  EHOSTUNREACH: { code: 'host_unreachable', text: 'the host cannot be reached' },
  ENETUNREACH: { code: 'host_unreachable', text: 'the network cannot be reached' },
  ETIMEDOUT: { code: 'connect_timeout', text: 'the host did not answer' },
  ENOTFOUND: { code: 'host_not_found', text: 'the host name is not known' },
  EAI_AGAIN: { code: 'host_not_found', text: 'the host name could not be looked up' },
  EADDRINUSE: { code: 'address_in_use', text: 'the address is in use' },
  EADDRNOTAVAIL: { code: 'address_not_local', text: 'the address is not one of this host' },
  EACCES: { code: 'permission_denied', text: 'permission was denied' },
  EPERM: { code: 'permission_denied', text: 'permission was denied' },
  ENOENT: { code: 'no_such_file', text: 'there is no such file' },
  ENOSPC: { code: 'no_space', text: 'no space is left' },
  EDQUOT: { code: 'no_space', text: 'the quota is used up' },
  EFBIG: { code: 'no_space', text: 'the file may not grow any more' },
  EROFS: { code: 'permission_denied', text: 'the file system is read-only' },
  ELOOP: { code: 'not_a_plain_file', text: 'a link leads elsewhere' },
  ENOTDIR: { code: 'no_such_file', text: 'a part of the path is no folder' },
  ENXIO: { code: 'not_a_plain_file', text: 'it is a FIFO, a socket or a device' },
  EISDIR: { code: 'not_a_plain_file', text: 'it is a folder' },
};

/** How an outgoing channel ends: by its first failure, or by a finish. What comes behind the end has no effect. */
export class OutgoingEnd {
  #listener: ((error: TransferError) => void) | null = null;
  #finishing: PromiseWithResolvers<void> | null = null;
  #isFinished = false;
  #failure: TransferError | null = null;

  /** True from `finish` on. */
  get isFinishing(): boolean {
    return this.#finishing !== null;
  }

  /** `listener` is called once, also if the channel has failed before. */
  onFailure(listener: (error: TransferError) => void): void {
    this.#listener = listener;
    if (this.#failure !== null) listener(this.#failure);
  }

  fail(error: TransferError): void {
    if (this.#failure !== null || this.#isFinished) return;
    this.#failure = error;
    this.#finishing?.reject(error);
    this.#listener?.(error);
  }

  /** Nothing more is written. Resolves with `finished`, rejects with the failure. */
  finish(): Promise<void> {
    this.#finishing = Promise.withResolvers<void>();
    if (this.#failure !== null) this.#finishing.reject(this.#failure);
    return this.#finishing.promise;
  }

  /** The peer has taken everything. */
  finished(): void {
    if (this.#finishing === null || this.#failure !== null) return;
    this.#isFinished = true;
    this.#finishing.resolve();
  }

  /** No failure is reported any more. */
  mute(): void {
    this.#listener = null;
  }
}
