// A separate parser for the structure of a qcow2 image, so that tests do not depend on the tested code.

import { closeSync, openSync, readSync, writeSync } from 'node:fs';

const TABLE_ENTRY_BYTES = 8;
const FIXED_BYTES = 40;
/** Bits 9 to 55. */
const OFFSET_MASK = 0x00ff_ffff_ffff_fe00n;

export type TableEntry = {
  readonly id: string;
  readonly name: string;
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly dateSeconds: number;
  readonly vmStateBytes: number;
  readonly diskBytes: number;
  /** All extra data: QEMU's 24 bytes and any further bytes. */
  readonly extra: Buffer;
};

/** The tables of an image as they are in the file now. */
export class ImageMap {
  readonly path: string;
  readonly clusterBytes: number;
  readonly snapshotTableOffset: number;
  readonly entries: readonly TableEntry[];

  constructor(path: string) {
    this.path = path;
    const header = this.bytes(0, 104);
    this.clusterBytes = 2 ** header.readUInt32BE(20);
    this.snapshotTableOffset = Number(header.readBigUInt64BE(64));
    this.entries = this.#readEntries(header.readUInt32BE(60));
  }

  bytes(offset: number, length: number): Buffer {
    const file = openSync(this.path, 'r');
    try {
      const bytes = Buffer.alloc(length);
      readSync(file, bytes, 0, length, offset);
      return bytes;
    } finally {
      closeSync(file);
    }
  }

  entry(name: string): TableEntry {
    const found = this.entries.find((entry) => entry.name === name);
    if (found === undefined) throw new Error(`${this.path} has no snapshot ${name}`);
    return found;
  }

  /** The start of the VM state area, as a guest offset. */
  vmStateStart({ diskBytes }: TableEntry): number {
    const perL1 = (this.clusterBytes * this.clusterBytes) / TABLE_ENTRY_BYTES;
    return Math.ceil(diskBytes / perL1) * perL1;
  }

  /** The file offsets of the entries for a guest offset: in the L1 table, and in the L2 table if it exists. */
  slots(entry: TableEntry, guestOffset: number): { readonly l1: number; readonly l2: number | null } {
    const cluster = Math.floor(guestOffset / this.clusterBytes);
    const perL2 = this.clusterBytes / TABLE_ENTRY_BYTES;
    const l1 = entry.l1Offset + Math.floor(cluster / perL2) * TABLE_ENTRY_BYTES;
    const table = this.#offsetAt(l1);
    return { l1, l2: table === 0 ? null : table + (cluster % perL2) * TABLE_ENTRY_BYTES };
  }

  /** The file offset of the byte at a guest offset; null if it is not allocated. */
  fileOffset(entry: TableEntry, guestOffset: number): number | null {
    const { l2 } = this.slots(entry, guestOffset);
    const host = l2 === null ? 0 : this.#offsetAt(l2);
    return host === 0 ? null : host + (guestOffset % this.clusterBytes);
  }

  /** The VM state of a snapshot, `length` bytes from `position` on; holes read as zeros. */
  vmState(name: string, position = 0, length = this.entry(name).vmStateBytes): Buffer {
    const entry = this.entry(name);
    const start = this.vmStateStart(entry);
    const all = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const at = start + position + done;
      const bytes = Math.min(length - done, this.clusterBytes - (at % this.clusterBytes));
      const host = this.fileOffset(entry, at);
      if (host !== null) this.bytes(host, bytes).copy(all, done);
      done += bytes;
    }
    return all;
  }

  #offsetAt(slot: number): number {
    return Number(this.bytes(slot, TABLE_ENTRY_BYTES).readBigUInt64BE() & OFFSET_MASK);
  }

  #readEntries(count: number): TableEntry[] {
    const entries: TableEntry[] = [];
    for (let at = this.snapshotTableOffset; entries.length < count; ) {
      const fixed = this.bytes(at, FIXED_BYTES);
      const [idBytes, nameBytes, extraBytes] = [fixed.readUInt16BE(12), fixed.readUInt16BE(14), fixed.readUInt32BE(36)];
      const rest = this.bytes(at + FIXED_BYTES, extraBytes + idBytes + nameBytes);
      const extra = rest.subarray(0, extraBytes);
      entries.push({
        id: rest.toString('utf8', extraBytes, extraBytes + idBytes),
        name: rest.toString('utf8', extraBytes + idBytes),
        l1Offset: Number(fixed.readBigUInt64BE(0)),
        l1Entries: fixed.readUInt32BE(8),
        dateSeconds: fixed.readUInt32BE(16),
        vmStateBytes: Number(extra.readBigUInt64BE(0)),
        diskBytes: Number(extra.readBigUInt64BE(8)),
        extra,
      });
      at += Math.ceil((FIXED_BYTES + rest.length) / 8) * 8;
    }
    return entries;
  }
}

/** Flips one bit. @returns a function that restores it. */
export function flipBit(path: string, offset: number): () => void {
  const file = openSync(path, 'r+');
  const turn = (): void => {
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, offset);
    byte[0]! ^= 0x04;
    writeSync(file, byte, 0, 1, offset);
  };
  turn();
  return () => {
    turn();
    closeSync(file);
  };
}

/** Overwrites a table entry of 8 bytes. @returns a function that restores it. */
export function overwriteEntry(path: string, offset: number, value: bigint): () => void {
  const file = openSync(path, 'r+');
  const before = Buffer.alloc(TABLE_ENTRY_BYTES);
  readSync(file, before, 0, TABLE_ENTRY_BYTES, offset);
  const after = Buffer.alloc(TABLE_ENTRY_BYTES);
  after.writeBigUInt64BE(value);
  writeSync(file, after, 0, TABLE_ENTRY_BYTES, offset);
  return () => {
    writeSync(file, before, 0, TABLE_ENTRY_BYTES, offset);
    closeSync(file);
  };
}
