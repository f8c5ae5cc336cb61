import { BlockError, type FileCall, type Image, type ImageSnapshot } from '../image.ts';
import { type BlockFile, openBlockFile, type SystemFile } from '../image-file.ts';
import { loadVolume } from './load-image.ts';
import { OnlyReadable, openImageFile, unwritableReason, version2Reason } from './open-image.ts';
import { asSnapshot } from './snapshot-table.ts';

/** Attempts to read the tables of an inactive image: the other side of a migration may change them during a read. */
const READ_ATTEMPTS = 3;

/** The known facts of an image, active or inactive. */
export type ImageFacts = {
  readonly diskBytes: number;
  readonly isReadOnly: boolean;
  readonly readOnlyReason: string | null;
  /** A new array after each change. */
  readonly snapshots: readonly ImageSnapshot[];
};

export type HoldOptions = {
  /** Never write. Default: false. */
  readonly readOnly?: boolean;
  readonly isActive: boolean;
};

/**
 * An image whose file stays open while the other side of a migration uses it. While the image is inactive, its tables
 * are not kept in memory, and no lock prevents other processes from writing to it.
 */
export class HeldImage {
  readonly path: string;
  readonly #file: SystemFile;
  /** Not null: never write; with the reason if the image should be writable. */
  readonly #toRead: { readonly reason: string | null } | null;
  #image: Image | null = null;
  #facts: ImageFacts;

  private constructor(file: SystemFile, toRead: { readonly reason: string | null } | null) {
    this.path = file.path;
    this.#file = file;
    this.#toRead = toRead;
    this.#facts = { diskBytes: 0, isReadOnly: true, readOnlyReason: toRead?.reason ?? null, snapshots: [] };
  }

  /** Opens an image; an active one as `openImage` does. @throws BlockError */
  static async open(path: string, { readOnly = false, isActive }: HoldOptions): Promise<HeldImage> {
    const reason = readOnly ? null : await version2Reason(path);
    const toRead = readOnly || reason !== null ? { reason } : null;
    const file = await openBlockFile(path, { readOnly: toRead !== null, use: 'inactive' });
    try {
      const held = new HeldImage(file, toRead);
      if (isActive) await held.activate();
      else held.#facts = await held.#look();
      return held;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Null while it is inactive. */
  get image(): Image | null {
    return this.#image;
  }

  /** The present facts; for an inactive image the facts of its last read. */
  get facts(): ImageFacts {
    return this.#image ?? this.#facts;
  }

  get underWay(): Iterable<FileCall> {
    return this.#file.underWay;
  }

  /**
   * Takes the locks and reads all tables again. Does nothing for an active image.
   * @throws BlockError; the image stays inactive. This includes an image that was writable and can now only be read,
   * because its guest must not run without a writable disk.
   */
  async activate(): Promise<void> {
    if (this.#image !== null) return;
    if (this.#toRead !== null) return this.#load(this.#toRead);
    try {
      await this.#load(null);
    } catch (error) {
      if (!(error instanceof OnlyReadable) || !this.#facts.isReadOnly) throw error;
      await this.#load({ reason: error.message });
    }
  }

  async #load(toRead: { readonly reason: string | null } | null): Promise<void> {
    const file = this.#file;
    const readOnly = toRead !== null;
    file.changeUse(readOnly ? 'read' : 'write');
    try {
      const options = { readOnly, identity: file.identity, reason: toRead?.reason ?? null };
      this.#image = await openImageFile(new LentFile(file), options);
    } catch (error) {
      file.changeUse('inactive');
      throw error;
    }
  }

  /**
   * Flushes, and releases the locks. No request may be in progress. Does nothing for an inactive image.
   * @throws BlockError if it cannot be flushed; the image stays active.
   */
  async deactivate(): Promise<void> {
    const image = this.#image;
    if (image === null) return;
    await image.flush();
    const { diskBytes, isReadOnly, readOnlyReason, snapshots } = image;
    this.#facts = { diskBytes, isReadOnly, readOnlyReason, snapshots };
    this.#image = null;
    try {
      await image.close();
    } finally {
      this.#file.changeUse('inactive');
    }
  }

  /** Flushes, releases the locks and closes the file. */
  async close(): Promise<void> {
    const image = this.#image;
    this.#image = null;
    try {
      await image?.close();
    } finally {
      await this.#file.close();
    }
  }

  async #look(): Promise<ImageFacts> {
    const file = this.#file;
    for (let look = 1; ; look += 1) {
      try {
        const volume = await loadVolume(file, { files: [file.identity], use: 'inactive' });
        await volume.backing?.close();
        const readOnlyReason = this.#toRead?.reason ?? unwritableReason(volume);
        const isReadOnly = this.#toRead !== null || readOnlyReason !== null;
        const { pointers, snapshots } = volume;
        return { diskBytes: pointers.diskBytes, isReadOnly, readOnlyReason, snapshots: snapshots.map(asSnapshot) };
      } catch (error) {
        if (look === READ_ATTEMPTS || !(error instanceof BlockError)) throw error;
        file.changeUse('inactive');
      }
    }
  }
}

/**
 * A file with another owner. Closing this object ends the access through it; the file itself stays open.
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
