import type { BlockFile } from './file.ts';
import { BlockError, type FileCall } from './image.ts';

/**
 * A file that somebody else owns, until it is closed: then nothing of it can be reached through this object any more,
 * and the file itself stays open.
 */
export class LentFile implements BlockFile {
  readonly #file: BlockFile;
  #isClosed = false;

  constructor(file: BlockFile) {
    this.#file = file;
  }

  get path(): string {
    return this.#file.path;
  }

  get bytes(): number {
    return this.#file.bytes;
  }

  get allocatedBytes(): number {
    return this.#open().allocatedBytes;
  }

  get underWay(): Iterable<FileCall> {
    return this.#file.underWay;
  }

  async read(position: number, into: Uint8Array): Promise<void> {
    await this.#open().read(position, into);
  }

  async write(position: number, from: Uint8Array): Promise<void> {
    await this.#open().write(position, from);
  }

  async sync(): Promise<void> {
    await this.#open().sync();
  }

  async truncate(bytes: number): Promise<void> {
    await this.#open().truncate(bytes);
  }

  async punchHole(offset: number, bytes: number): Promise<void> {
    await this.#open().punchHole(offset, bytes);
  }

  async assertPresent(): Promise<void> {
    await this.#open().assertPresent();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #open(): BlockFile {
    if (!this.#isClosed) return this.#file;
    throw new BlockError('image_io_error', `${this.path}: the image is closed.`);
  }
}
