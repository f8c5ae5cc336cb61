// A file in memory that loses unsynced data at a power loss: any part of it, sector by sector.

import type { BlockFile } from '../../../src/block/image-file.ts';
import type { Clock } from './sector-log.ts';
import { SECTOR_BYTES } from './stamps.ts';

type Entry = {
  readonly began: number;
  ended: number;
  /** The end of a sync that started after the end of the write. */
  stable: number;
} & (
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly bytes: number }
  | { readonly kind: 'punch'; readonly position: number; readonly bytes: number }
);

/** The lost part of the unsynced data: nothing, all, single sectors, or whole writes. */
export const LOSSES = ['nothing', 'everything', 'sectors', 'writes'] as const;
export type Loss = (typeof LOSSES)[number];

const NEVER = Number.POSITIVE_INFINITY;

export class UnsafeFile implements BlockFile {
  readonly path = 'a file in memory';
  readonly underWay = [];
  readonly #initial: Buffer;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #entries: Entry[] = [];
  /** The moments directly before the end of a sync, when most data is unsynced. */
  readonly syncs: number[] = [];
  #content: Content;

  constructor(initial: Buffer, clock: Clock, random: () => number) {
    this.#initial = Buffer.from(initial);
    this.#content = new Content(initial);
    this.#clock = clock;
    this.#random = random;
  }

  get bytes(): number {
    return this.#content.bytes.length;
  }

  get allocatedBytes(): number {
    return this.bytes;
  }

  async read(position: number, into: Uint8Array): Promise<void> {
    await this.#while();
    into.fill(0);
    into.set(this.#content.bytes.subarray(position, position + into.length));
  }

  async write(position: number, from: Uint8Array): Promise<void> {
    await this.#change({ kind: 'write', position, bytes: Buffer.from(from), ...this.#times() });
  }

  async truncate(bytes: number): Promise<void> {
    await this.#change({ kind: 'truncate', bytes, ...this.#times() });
  }

  async punchHole(position: number, bytes: number): Promise<void> {
    await this.#change({ kind: 'punch', position, bytes, ...this.#times() });
  }

  async sync(): Promise<void> {
    const began = this.#tick();
    await this.#while();
    const now = this.#tick();
    this.syncs.push(now);
    for (const entry of this.#entries) if (entry.ended < began && entry.stable === NEVER) entry.stable = now;
  }

  async assertPresent(): Promise<void> {}

  async close(): Promise<void> {}

  /** The file after a power loss at this moment. */
  after(moment: number, loss: Loss, random: () => number): Buffer {
    const content = new Content(this.#initial);
    for (const entry of this.#entries) {
      if (entry.began >= moment) continue;
      if (entry.stable < moment || loss === 'nothing') content.apply(entry);
      else if (loss === 'writes' && random() < 0.5) content.apply(entry);
      else if (loss === 'sectors') content.applySome(entry, random);
    }
    return content.bytes;
  }

  async #change(entry: Entry): Promise<void> {
    this.#entries.push(entry);
    await this.#while();
    this.#content.apply(entry);
    entry.ended = this.#tick();
  }

  #times(): { began: number; ended: number; stable: number } {
    return { began: this.#tick(), ended: NEVER, stable: NEVER };
  }

  #tick(): number {
    this.#clock.now += 1;
    return this.#clock.now;
  }

  /** Requests have random delays, so that they overtake each other. */
  async #while(): Promise<void> {
    for (let turns = Math.floor(this.#random() * 4); turns >= 0; turns -= 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}

class Content {
  bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = Buffer.from(bytes);
  }

  apply(entry: Entry): void {
    if (entry.kind === 'truncate') this.#resize(entry.bytes);
    else if (entry.kind === 'punch') this.bytes.fill(0xdb, entry.position, entry.position + entry.bytes);
    else this.#put(entry.position, entry.bytes);
  }

  applySome(entry: Entry, random: () => number): void {
    if (entry.kind !== 'write') {
      if (random() < 0.5) this.apply(entry);
      return;
    }
    const { position, bytes } = entry;
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + SECTOR_BYTES - ((position + from) % SECTOR_BYTES));
      if (random() < 0.5) this.#put(position + from, bytes.subarray(from, to));
      from = to;
    }
  }

  #put(position: number, bytes: Buffer): void {
    if (position + bytes.length > this.bytes.length) this.#resize(position + bytes.length);
    this.bytes.set(bytes, position);
  }

  #resize(bytes: number): void {
    const resized = Buffer.alloc(bytes);
    this.bytes.copy(resized, 0, 0, bytes);
    this.bytes = resized;
  }
}
