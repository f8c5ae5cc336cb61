// A file in memory that logs every write, so that a test can restore it at any moment.

import type { BlockError } from '../../src/block/image.ts';
import type { BlockFile } from '../../src/block/image-file.ts';

type Change = { readonly position: number; readonly bytes: Buffer } | { readonly cutAt: number };

/** Files made longer than this are a fault. */
const BYTES_MAX = 64 * 2 ** 20;

export class LoggedFile implements BlockFile {
  readonly path = 'in memory';
  /** Called before a write with the content of the file after it, or after a part of it. */
  onState: ((content: () => Buffer) => void) | null = null;
  /** Makes writes or flushes fail; set by a test. */
  failing: ((what: 'write' | 'sync', position: number, bytes: number) => BlockError | null) | null = null;
  #content: Buffer;
  #synced: Buffer;
  #unsynced: Change[] = [];

  constructor(content: Buffer) {
    this.#content = Buffer.from(content);
    this.#synced = this.#content;
  }

  get bytes(): number {
    return this.#content.length;
  }

  get allocatedBytes(): number {
    return this.#content.length;
  }

  content(): Buffer {
    return Buffer.from(this.#content);
  }

  /** The file after a power failure: the flushed data, and the later changes that `keeps` selects. */
  contentAfterPowerFailure(keeps: () => boolean): Buffer {
    let content: Buffer = Buffer.from(this.#synced);
    for (const change of this.#unsynced) if (keeps()) content = applied(content, change);
    return content;
  }

  readonly underWay = [];

  async read(position: number, into: Uint8Array): Promise<void> {
    into.fill(0);
    into.set(this.#content.subarray(position, position + into.length));
  }

  async write(position: number, from: Uint8Array): Promise<void> {
    this.#failIfAsked('write', position, from.length);
    const bytes = Buffer.from(from);
    // A killed process may have written a part of it, up to a page.
    const half = Math.floor(bytes.length / 2 / 512) * 512;
    if (half > 0) {
      const torn = { position, bytes: bytes.subarray(0, half) };
      this.onState?.(() => applied(Buffer.from(this.#content), torn));
    }
    this.#change({ position, bytes });
  }

  async sync(): Promise<void> {
    this.#failIfAsked('sync', 0, 0);
    this.#synced = Buffer.from(this.#content);
    this.#unsynced = [];
  }

  async truncate(bytes: number): Promise<void> {
    this.#change({ cutAt: bytes });
  }

  async punchHole(offset: number, bytes: number): Promise<void> {
    // Not zeros, so that a use of released space is detected.
    this.#change({ position: offset, bytes: Buffer.alloc(bytes, 0xdb) });
  }

  async assertPresent(): Promise<void> {}

  async close(): Promise<void> {}

  #change(change: Change): void {
    this.#content = applied(this.#content, change);
    this.#unsynced.push(change);
    this.onState?.(() => this.content());
  }

  #failIfAsked(what: 'write' | 'sync', position: number, bytes: number): void {
    const error = this.failing?.(what, position, bytes) ?? null;
    if (error !== null) throw error;
  }
}

function applied(content: Buffer, change: Change): Buffer {
  if ('cutAt' in change) {
    return change.cutAt <= content.length
      ? content.subarray(0, change.cutAt)
      : Buffer.concat([content, Buffer.alloc(change.cutAt - content.length)]);
  }
  const end = change.position + change.bytes.length;
  if (end > BYTES_MAX) throw new Error(`the file would become ${end} bytes long`);
  const grown = end <= content.length ? content : Buffer.concat([content, Buffer.alloc(end - content.length)]);
  change.bytes.copy(grown, change.position);
  return grown;
}
