// The log of the writer, and the content that the image must have whenever the writer is killed.

import { expect } from 'vitest';
import type { Image } from '../../../src/block/image.ts';
import { patterned } from '../../helpers/qcow2/history.ts';
import { SECTOR_BYTES, STAMP_FIRST, stampReader } from '../../helpers/qcow2/stamps.ts';

export type WriterOperation =
  | { readonly kind: 'write' | 'discard'; readonly first: number; readonly sectors: number; readonly stamp: number }
  | { readonly kind: 'snapshot'; readonly name: string; readonly salt: number; readonly vmStateBytes: number }
  | { readonly kind: 'apply' | 'delete'; readonly name: string }
  | { readonly kind: 'flush' };

/** Stamps, one for each sector, and the VM state. */
type Held = { readonly disk: readonly number[]; readonly vmState: Buffer };

export class WriterLog {
  readonly #perCluster: number;
  readonly #stampOf: (sector: number, bytes: Buffer) => number | null;
  /** The content of the disk at the last completed flush. */
  #stable: number[];
  /** The later writes to each sector. */
  #since = new Map<number, number[]>();
  readonly #snapshots = new Map<string, Held>();
  #inProgress: WriterOperation | null = null;

  constructor(diskBytes: number, clusterBytes: number) {
    this.#perCluster = clusterBytes / SECTOR_BYTES;
    this.#stable = new Array<number>(diskBytes / SECTOR_BYTES).fill(STAMP_FIRST);
    this.#stampOf = stampReader(Buffer.alloc(diskBytes));
  }

  get snapshots(): number {
    return this.#snapshots.size;
  }

  take({ begins, ...operation }: WriterOperation & { begins: boolean }): void {
    this.#inProgress = begins ? operation : null;
    if (begins) {
      if (operation.kind === 'write')
        this.#change(operation.first, operation.first + operation.sectors, operation.stamp);
      if (operation.kind === 'discard') this.#discard(operation);
    } else if (operation.kind === 'flush') {
      this.#settle(this.#current());
    } else if (operation.kind === 'delete') {
      this.#snapshots.delete(operation.name);
    } else if (operation.kind === 'apply') {
      this.#settle([...this.#snapshots.get(operation.name)!.disk]);
    } else if (operation.kind === 'snapshot') {
      this.#snapshots.set(operation.name, this.#heldBy(operation));
      this.#settle(this.#current());
    }
  }

  /** Compares the image with the log, and uses it as the new initial content. @throws AssertionError */
  async settleWith(image: Image, what: string): Promise<void> {
    const disk = await this.#read(image.diskBytes, (into) => image.read(0, into), what);
    const [inProgress, applied] = [this.#inProgress, this.#appliedDisk()];
    if (applied?.every((stamp, sector) => stamp === disk[sector]) !== true) {
      const wrong = disk.findIndex((stamp, sector) => !this.#allowed(sector).includes(stamp));
      expect(wrong < 0 ? null : { wrong, holds: disk[wrong], allowed: this.#allowed(wrong) }, what).toBeNull();
    }
    this.#settle(disk);
    this.#inProgress = null;
    const there = new Set(image.snapshots.map(({ name }) => name));
    if (inProgress?.kind === 'snapshot' && there.has(inProgress.name)) {
      // Nothing was logged after it began, so the disk is unchanged since then.
      this.#snapshots.set(inProgress.name, this.#heldBy(inProgress));
    }
    if (inProgress?.kind === 'delete' && !there.has(inProgress.name)) this.#snapshots.delete(inProgress.name);
    expect(there, what).toEqual(new Set(this.#snapshots.keys()));
    for (const { id, name, vmStateBytes, diskBytes } of image.snapshots) {
      const held = this.#snapshots.get(name)!;
      const reader = await image.openSnapshot(id);
      const stamps = await this.#read(diskBytes, (into) => reader.readDisk(0, into), `${name}, ${what}`);
      expect(stamps, `snapshot ${name}, ${what}`).toEqual(held.disk);
      const vmState = Buffer.alloc(vmStateBytes);
      await reader.readVmState(0, vmState);
      expect(vmState.equals(held.vmState), `VM state of ${name}, ${what}`).toBe(true);
    }
  }

  async #read(diskBytes: number, read: (into: Buffer) => Promise<void>, what: string): Promise<number[]> {
    const bytes = Buffer.alloc(diskBytes, 0xaa);
    await read(bytes);
    return this.#stable.map((_, sector) => {
      const stamp = this.#stampOf(sector, bytes.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES));
      if (stamp === null) throw new Error(`sector ${sector} is torn, ${what}`);
      return stamp;
    });
  }

  #discard({ first, sectors }: { first: number; sectors: number }): void {
    const isToEnd = first + sectors === this.#stable.length;
    const end = isToEnd ? first + sectors : Math.floor((first + sectors) / this.#perCluster) * this.#perCluster;
    this.#change(Math.ceil(first / this.#perCluster) * this.#perCluster, end, STAMP_FIRST);
  }

  #change(first: number, end: number, stamp: number): void {
    for (let sector = first; sector < end; sector += 1) {
      this.#since.set(sector, [...(this.#since.get(sector) ?? []), stamp]);
    }
  }

  #settle(disk: number[]): void {
    this.#stable = disk;
    this.#since = new Map();
  }

  #current(): number[] {
    return this.#stable.map((stamp, sector) => this.#since.get(sector)?.at(-1) ?? stamp);
  }

  #allowed(sector: number): number[] {
    return [this.#stable[sector]!, ...(this.#since.get(sector) ?? [])];
  }

  #appliedDisk(): readonly number[] | null {
    return this.#inProgress?.kind === 'apply' ? this.#snapshots.get(this.#inProgress.name)!.disk : null;
  }

  #heldBy({ salt, vmStateBytes }: Extract<WriterOperation, { kind: 'snapshot' }>): Held {
    return { disk: this.#current(), vmState: patterned(vmStateBytes, salt) };
  }
}
