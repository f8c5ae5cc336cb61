import { openBlockFile, type SystemFile } from '../file.ts';
import { BlockError, type FileCall, type Image, type ImageSnapshot } from '../image.ts';
import { LentFile } from '../lent-file.ts';
import { loadVolume } from './load.ts';
import { OnlyReadable, openImageFile, unwritableReason, version2Reason } from './open.ts';
import { asSnapshot } from './snapshot-table.ts';

/** The other side of a migration may write while the tables are read: what does not fit together is read again. */
const LOOKS = 3;

/** What is known of an image, whether it is active or not. */
export type ImageFacts = {
  readonly diskBytes: number;
  readonly isReadOnly: boolean;
  readonly readOnlyReason: string | null;
  /** The same array until it changes. */
  readonly snapshots: readonly ImageSnapshot[];
};

export type HoldOptions = {
  /** Never write. Default: false. */
  readonly readOnly?: boolean;
  readonly isActive: boolean;
};

/**
 * An image whose file stays open while the right to use it goes to the other side of a migration and comes back. While
 * it is inactive nothing of its tables is kept in memory, and no lock forbids others to write to it.
 */
export class HeldImage {
  readonly path: string;
  readonly #file: SystemFile;
  /** Never write, and why, where that is not the file's own doing. */
  readonly #toRead: { readonly reason: string | null } | null;
  #image: Image | null = null;
  #facts: ImageFacts;

  private constructor(file: SystemFile, toRead: { readonly reason: string | null } | null) {
    this.path = file.path;
    this.#file = file;
    this.#toRead = toRead;
    this.#facts = { diskBytes: 0, isReadOnly: true, readOnlyReason: toRead?.reason ?? null, snapshots: [] };
  }

  /** Opens an image, as `openImage` does where it is active. @throws BlockError */
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

  /** As of now; of an inactive image as they were when it was last looked at. */
  get facts(): ImageFacts {
    return this.#image ?? this.#facts;
  }

  get underWay(): Iterable<FileCall> {
    return this.#file.underWay;
  }

  /**
   * Takes the locks and reads everything anew. Harmless for an active image.
   * @throws BlockError: then it is inactive as before. So is an image that could be written before and can only be read
   * now: its guest must not go on without its disk.
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
   * Flushes, and gives up the locks. No request may be under way. Harmless for an inactive image.
   * @throws BlockError if it cannot be flushed: then it is active as before.
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

  /** Flushes, lets go of the locks and the file. */
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
        if (look === LOOKS || !(error instanceof BlockError)) throw error;
        file.changeUse('inactive');
      }
    }
  }
}
