import type { TransferError } from '../../domain/ports/migration-session.ts';

/** The sending end of a channel: it sends bytes in order and, on sockets, receives bytes of the reverse direction. */
export interface OutgoingChannel {
  /** True if the peer can answer on this channel. */
  readonly hasReverse: boolean;
  /** Sends `bytes`, without a copy; calls `done` when they may be overwritten. Writes keep their order. */
  write(bytes: Uint8Array, done: () => void): void;
  /** Calls `listener` with bytes of the reverse direction; the view is valid during the call only. */
  onReverse(listener: (bytes: Uint8Array) => void): void;
  /** How many of the written bytes the peer's system has acknowledged; null if that is unknown. */
  acknowledgedBytes?(): number | null;
  /** Called once if the channel breaks or the peer closes it before `finish`. */
  onFailure(listener: (error: TransferError) => void): void;
  /**
   * Ends the stream. Resolves when the peer has received all of it: a socket's peer closed its end in order, a command exited
   * with 0, all writes to a file succeeded and the file has its name (it is forced to the disk if it replaces another).
   */
  finish(): Promise<void>;
  /**
   * Closes at once; the peer sees a broken stream. Has no effect after `finish`. After a cancel, a socket is closed in order
   * behind the written bytes, so the peer can distinguish that from a broken connection.
   */
  destroy(reason?: 'cancelled'): void;
}

/** The receiving end of a channel. */
export interface IncomingChannel {
  /**
   * Begins to read: calls `buffer` for the destination before each read, and `received` with the number of bytes after it.
   */
  read(buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void): void;
  /** Calls `listener` once: with null when the peer has ended the stream, with an error if the channel broke. */
  onEnd(listener: (error: TransferError | null) => void): void;
  /** Bytes of the reverse direction that are not sent yet, because the peer does not read them. */
  readonly unsentBytes?: number;
  /** Sends bytes in the reverse direction, if there is one. */
  write(bytes: Uint8Array): void;
  /** Closes in order, behind the written bytes. */
  close(): void;
  /** Closes so that the sender sees an error. */
  reset(): void;
}

/** The TransferError for an exception while a channel is opened or closed. @param what the address. */
export function toTransferError(thrown: unknown, what: string): TransferError {
  return thrown instanceof Error ? channelError(thrown, what) : (thrown as TransferError);
}

/** The TransferError for an error of the operating system. @param what the address. */
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

/** The end of an outgoing channel: its first failure, or its finish. Later calls have no effect. */
export class OutgoingEnd {
  #listener: ((error: TransferError) => void) | null = null;
  #finishing: PromiseWithResolvers<void> | null = null;
  #isFinished = false;
  #failure: TransferError | null = null;

  /** True after `finish` was called. */
  get isFinishing(): boolean {
    return this.#finishing !== null;
  }

  /** Calls `listener` once, also if the channel has failed before. */
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

  /** No write follows. Resolves when `finished` is called, rejects with the failure. */
  finish(): Promise<void> {
    this.#finishing = Promise.withResolvers<void>();
    if (this.#failure !== null) this.#finishing.reject(this.#failure);
    return this.#finishing.promise;
  }

  /** The peer has received all bytes. */
  finished(): void {
    if (this.#finishing === null || this.#failure !== null) return;
    this.#isFinished = true;
    this.#finishing.resolve();
  }

  /** Stops to report failures. */
  mute(): void {
    this.#listener = null;
  }
}
