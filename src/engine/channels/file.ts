import { close, fstatSync, ftruncateSync, read, write } from 'node:fs';
import { promisify } from 'node:util';
import type { FileAddress, TransferError } from '../../domain/ports/migration-session.ts';
import { channelError, type IncomingChannel, type OutgoingChannel } from './channel.ts';
import { FileDraft } from './file-draft.ts';
import { openToRead } from './open-below.ts';

const closeFile = promisify(close);

type Address = Omit<FileAddress, 'transport'>;

/** Where the stream is written. */
type Destination = Pick<FileDraft, 'fd' | 'keep' | 'discard'>;

/** A file that was opened elsewhere is written directly, and is closed by its opener. */
function destinationOf(root: string, address: Address): Destination {
  const { path, offset, descriptor } = address;
  if (descriptor === undefined) return new FileDraft(root, path, { headBytes: offset });
  return { fd: plainFile(descriptor, address), keep: async () => {}, discard: () => {} };
}

/** @throws TransferError if the descriptor is not of a plain file, which alone has positions. */
function plainFile(descriptor: number, { path }: Address): number {
  if (fstatSync(descriptor).isFile()) return descriptor;
  throw {
    code: 'not_a_plain_file',
    message: `file:${path}: descriptor ${descriptor} is not of a plain file`,
  } satisfies TransferError;
}

/**
 * Writes a stream into a file below `root`, or into an open file, from `offset` on. Several writes may be in progress. An
 * existing file stays unchanged until the stream is complete; then the new file replaces it, with the first `offset`
 * bytes of the old one.
 */
export class FileOutgoingChannel implements OutgoingChannel {
  readonly hasReverse = false;
  readonly #draft: Destination;
  readonly #name: string;
  #position: number;
  #inFlight = 0;
  #failed: ((error: TransferError) => void) | null = null;
  #failure: TransferError | null = null;
  #idle: (() => void) | null = null;
  #open = true;

  /** @throws TransferError if the file cannot be created, or cannot be extended to the offset. */
  constructor(root: string, address: Address) {
    this.#name = `file:${address.path}`;
    this.#draft = destinationOf(root, address);
    this.#position = address.offset;
    try {
      ftruncateSync(this.#draft.fd, address.offset);
    } catch (error) {
      this.#draft.discard();
      throw channelError(error, this.#name);
    }
  }

  write(bytes: Uint8Array, done: () => void): void {
    const at = this.#position;
    this.#position += bytes.length;
    this.#inFlight += 1;
    this.#writeAll(bytes, at, (error) => {
      this.#inFlight -= 1;
      if (error !== null) this.#fail(error);
      else done();
      if (this.#inFlight === 0) this.#idle?.();
    });
  }

  onReverse(): void {}

  onFailure(listener: (error: TransferError) => void): void {
    this.#failed = listener;
    if (this.#failure !== null) listener(this.#failure);
  }

  async finish(): Promise<void> {
    if (this.#inFlight > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    if (this.#failure !== null) throw this.#failure;
    // `destroy` was called meanwhile.
    if (!this.#open) return;
    this.#open = false;
    await this.#draft.keep();
  }

  destroy(): void {
    this.#failed = null;
    if (!this.#open) return;
    this.#open = false;
    if (this.#inFlight === 0) this.#draft.discard();
    else this.#idle = () => this.#draft.discard();
  }

  #writeAll(bytes: Uint8Array, at: number, done: (error: TransferError | null) => void): void {
    write(this.#draft.fd, bytes, 0, bytes.length, at, (error, count) => {
      if (error) done(channelError(error, this.#name));
      else if (count === bytes.length) done(null);
      else this.#writeAll(bytes.subarray(count), at + count, done);
    });
  }

  #fail(error: TransferError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#failed?.(error);
  }
}

/** Reads a stream from a file below `root`, or from an open file. */
export class FileIncomingChannel implements IncomingChannel {
  readonly #fd: number;
  readonly #isLent: boolean;
  readonly #name: string;
  #position: number;
  #ended: ((error: TransferError | null) => void) | null = null;
  #closed = false;
  #reading = false;

  /** @throws TransferError if the file cannot be opened, or is shorter than the offset. */
  constructor(root: string, address: Address) {
    this.#name = `file:${address.path}`;
    this.#isLent = address.descriptor !== undefined;
    this.#fd =
      address.descriptor === undefined ? openToRead(root, address.path) : plainFile(address.descriptor, address);
    this.#position = address.offset;
    if (fstatSync(this.#fd).size >= address.offset) return;
    this.#release();
    throw {
      code: 'file_too_short',
      message: `${this.#name} ends before offset ${address.offset}`,
    } satisfies TransferError;
  }

  read(buffer: () => Uint8Array<SharedArrayBuffer>, received: (count: number) => void): void {
    if (this.#closed) return;
    const into = buffer();
    this.#reading = true;
    read(this.#fd, into, 0, into.length, this.#position, (error, count) => {
      this.#reading = false;
      if (this.#closed) return this.#release();
      if (error) return this.#ended?.(channelError(error, this.#name));
      if (count === 0) return this.#ended?.(null);
      this.#position += count;
      received(count);
      this.read(buffer, received);
    });
  }

  onEnd(listener: (error: TransferError | null) => void): void {
    this.#ended = listener;
  }

  write(): void {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended = null;
    if (!this.#reading) this.#release();
  }

  reset(): void {
    this.close();
  }

  #release(): void {
    if (!this.#isLent) void closeFile(this.#fd).catch(() => {});
  }
}
