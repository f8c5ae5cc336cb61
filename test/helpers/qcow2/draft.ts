// Writes valid and invalid qcow2 images byte by byte. It is written from the description of the format and shares no
// code with src/block, so that an error in one of them is not hidden by the other.

import { deflateRawSync } from 'node:zlib';

export const COPIED = 1n << 63n;
export const COMPRESSED = 1n << 62n;
const ZERO_CLUSTER = 1n;
const SECTOR_BYTES = 512;
const COUNT_BYTES = 2;
const HEADER_BYTES = 112;
const NO_ICOUNT = 2n ** 64n - 1n;

/** Where the parts of the sample image lie in the file; all are offsets in bytes. */
export type Places = {
  readonly refcountTable: number;
  readonly refcountBlock: number;
  readonly activeL1: number;
  /** Only the active disk has this L2 table; its clusters are of every kind. */
  readonly ownL2: number;
  /** The active disk and both snapshots have this L2 table. */
  readonly sharedL2: number;
  readonly firstL1: number;
  readonly secondL1: number;
  /** Both snapshots have this L2 table. */
  readonly snapshotL2: number;
  readonly vmStateL2: number;
  readonly snapshotTable: number;
  readonly compressed: number;
  /** Clusters of data: the active disk's own, the active disk's and the snapshots', the shared table's, the snapshots'. */
  readonly ownData: number;
  readonly commonData: number;
  readonly sharedData: number;
  readonly snapshotData: number;
  readonly vmState: number;
};

/** The file of an image while it is put together, and the same while it is spoiled. */
export class Draft {
  readonly clusterBits: number;
  readonly clusterBytes: number;
  #bytes: Buffer;
  #end: number;
  /** Offset of the only refcount block. */
  #block = 0;

  constructor(clusterBits: number, bytes: Buffer = Buffer.alloc(0), block = 0) {
    this.clusterBits = clusterBits;
    this.clusterBytes = 2 ** clusterBits;
    this.#bytes = Buffer.from(bytes);
    this.#end = bytes.length;
    this.#block = block;
  }

  get end(): number {
    return this.#end;
  }

  /** Entries of an L2 table. */
  get entries(): number {
    return this.clusterBytes / 8;
  }

  get refcountBlock(): number {
    return this.#block;
  }

  set refcountBlock(offset: number) {
    this.#block = offset;
  }

  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#end));
  }

  copy(): Draft {
    return new Draft(this.clusterBits, this.finish(), this.#block);
  }

  /** Takes clusters behind the end of the file, all zeros, with a count of `count` each. */
  allocate(clusters = 1, count = 1): number {
    const offset = Math.ceil(this.#end / this.clusterBytes) * this.clusterBytes;
    this.#reach(offset + clusters * this.clusterBytes);
    for (let cluster = 0; cluster < clusters && this.#block > 0; cluster += 1) {
      this.setCount(offset + cluster * this.clusterBytes, count);
    }
    return offset;
  }

  put(offset: number, bytes: Uint8Array): this {
    this.#reach(offset + bytes.length);
    this.#bytes.set(bytes, offset);
    return this;
  }

  putByte(offset: number, value: number): this {
    return this.put(offset, Uint8Array.of(value));
  }

  put16(offset: number, value: number): this {
    this.#reach(offset + 2);
    this.#bytes.writeUInt16BE(value, offset);
    return this;
  }

  put32(offset: number, value: number): this {
    this.#reach(offset + 4);
    this.#bytes.writeUInt32BE(value, offset);
    return this;
  }

  put64(offset: number, value: bigint | number): this {
    this.#reach(offset + 8);
    this.#bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)), offset);
    return this;
  }

  get16(offset: number): number {
    return this.#bytes.readUInt16BE(offset);
  }

  get64(offset: number): bigint {
    return this.#bytes.readBigUInt64BE(offset);
  }

  flip(bit: number): this {
    this.#bytes[bit >> 3]! ^= 1 << (bit & 7);
    return this;
  }

  cut(bytes: number): this {
    this.#end = Math.min(bytes, this.#end);
    return this;
  }

  /** Sets the reference count of the cluster at an offset. */
  setCount(offset: number, count: number): this {
    return this.put16(this.countOffset(offset), count);
  }

  addCount(offset: number, count: number): this {
    const at = this.countOffset(offset);
    return this.put16(at, this.get16(at) + count);
  }

  countOffset(offset: number): number {
    return this.#block + Math.floor(offset / this.clusterBytes) * COUNT_BYTES;
  }

  /** The L2 entry of a compressed cluster that begins at any byte of the file and spans that many bytes. */
  compressedEntry(offset: number, bytes: number): bigint {
    const sectors = Math.ceil(((offset % SECTOR_BYTES) + bytes) / SECTOR_BYTES) - 1;
    return COMPRESSED | (BigInt(sectors) << BigInt(62 - (this.clusterBits - 8))) | BigInt(offset);
  }

  #reach(end: number): void {
    if (end > this.#bytes.length) {
      const longer = Buffer.alloc(Math.max(end, this.#bytes.length * 2));
      this.#bytes.copy(longer, 0, 0, this.#end);
      this.#bytes = longer;
    }
    if (end <= this.#end) return;
    this.#bytes.fill(0, this.#end, end);
    this.#end = end;
  }
}

export type SnapshotFields = {
  readonly l1: number;
  readonly l1Entries: number;
  readonly id: string;
  readonly name: string;
  readonly vmStateBytes: number;
  readonly diskBytes: number;
  /** Behind QEMU's 24 bytes. */
  readonly extra?: Uint8Array;
};

/** One row of a snapshot table, padded to a multiple of 8. */
export function snapshotRow(fields: SnapshotFields): Buffer {
  const extra = fields.extra ?? new Uint8Array();
  const length = 64 + extra.length + fields.id.length + fields.name.length;
  const row = Buffer.alloc(Math.ceil(length / 8) * 8);
  row.writeBigUInt64BE(BigInt(fields.l1), 0);
  row.writeUInt32BE(fields.l1Entries, 8);
  row.writeUInt16BE(fields.id.length, 12);
  row.writeUInt16BE(fields.name.length, 14);
  row.writeUInt32BE(1_700_000_000, 16);
  row.writeUInt32BE(123_456_000, 20);
  row.writeBigUInt64BE(5_000_000_001n, 24);
  row.writeUInt32BE(fields.vmStateBytes, 32);
  row.writeUInt32BE(24 + extra.length, 36);
  row.writeBigUInt64BE(BigInt(fields.vmStateBytes), 40);
  row.writeBigUInt64BE(BigInt(fields.diskBytes), 48);
  row.writeBigUInt64BE(NO_ICOUNT, 56);
  row.set(extra, 64);
  row.write(fields.id + fields.name, 64 + extra.length, 'latin1');
  return row;
}

export const VM_STATE_BYTES = 1200;
/** Bytes from the snapshot table's start to its second row. */
export const SECOND_ROW = 72;

export type Sample = {
  readonly draft: Draft;
  readonly places: Places;
  readonly diskBytes: number;
  /** What the active disk, and that of both snapshots, holds. */
  readonly disk: Buffer;
  readonly snapshotDisk: Buffer;
  /** The first snapshot's. */
  readonly vmState: Buffer;
};

/** Bytes that tell where they belong: each cluster of the sample has its own. */
function patterned(bytes: number, salt: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + salt * 31 + (index >> 8)) & 0xff));
}

/**
 * A right image with one of everything: an active disk of two L2 tables and two snapshots of it, tables and clusters that
 * they share and that they do not, zero clusters with and without a place, compressed clusters, and VM state.
 */
export function sampleImage(clusterBits = 9): Sample {
  const draft = new Draft(clusterBits);
  const { clusterBytes, entries } = draft;
  const places = allocatePlaces(draft);
  const diskBytes = 2 * entries * clusterBytes;
  const content = (salt: number) => patterned(clusterBytes, salt);
  const compressed = [content(20).fill(5), content(21).fill(6)].map((bytes) =>
    deflateRawSync(bytes, { windowBits: 12 }),
  );
  const secondAt = places.compressed + 100;
  draft.put(places.compressed, compressed[0]!).put(secondAt, compressed[1]!);
  const entryOf = [draft.compressedEntry(places.compressed, 100), draft.compressedEntry(secondAt, 60)] as const;

  const own = [COPIED | BigInt(places.ownData), BigInt(places.commonData), ZERO_CLUSTER];
  own.push(COPIED | ZERO_CLUSTER | BigInt(places.ownData + clusterBytes), ...entryOf);
  const snapshot = [BigInt(places.snapshotData), BigInt(places.commonData), 0n, 0n, entryOf[0]];
  const shared = [BigInt(places.sharedData), 0n, BigInt(places.sharedData + clusterBytes)];
  const state = [0, 1, 2].map((index) => BigInt(places.vmState + index * clusterBytes));
  putEntries(draft, places.ownL2, own);
  putEntries(draft, places.snapshotL2, snapshot);
  putEntries(draft, places.sharedL2, shared);
  putEntries(draft, places.vmStateL2, state);
  putEntries(draft, places.activeL1, [COPIED | BigInt(places.ownL2), BigInt(places.sharedL2), 0n]);
  putEntries(draft, places.firstL1, [places.snapshotL2, places.sharedL2, places.vmStateL2]);
  putEntries(draft, places.secondL1, [places.snapshotL2, places.sharedL2]);
  const data = { ownData: 1, commonData: 2, sharedData: 3, snapshotData: 4 } as const;
  for (const [name, salt] of Object.entries(data)) draft.put(places[name as keyof typeof data], content(salt));
  draft.put(places.sharedData + clusterBytes, content(5));
  // The cluster of a zero cluster with a place: must not be seen.
  draft.put(places.ownData + clusterBytes, Buffer.alloc(clusterBytes, 0xee));
  const vmState = patterned(3 * clusterBytes, 9);
  draft.put(places.vmState, vmState);
  putHeaderAndSnapshots(draft, places, diskBytes);

  const disk = Buffer.alloc(diskBytes);
  const sharedAt = diskBytes / 2;
  disk.set(content(3), sharedAt);
  disk.set(content(5), sharedAt + 2 * clusterBytes);
  const snapshotDisk = Buffer.from(disk);
  disk.set(content(1), 0);
  disk.set(content(2), clusterBytes);
  disk.fill(5, 4 * clusterBytes, 5 * clusterBytes);
  disk.fill(6, 5 * clusterBytes, 6 * clusterBytes);
  snapshotDisk.set(content(4), 0);
  snapshotDisk.set(content(2), clusterBytes);
  snapshotDisk.fill(5, 4 * clusterBytes, 5 * clusterBytes);
  return { draft, places, diskBytes, disk, snapshotDisk, vmState: vmState.subarray(0, VM_STATE_BYTES) };
}

function allocatePlaces(draft: Draft): Places {
  draft.allocate();
  const refcountTable = draft.allocate();
  const refcountBlock = draft.allocate();
  draft.refcountBlock = refcountBlock;
  for (const offset of [0, refcountTable, refcountBlock]) draft.setCount(offset, 1);
  draft.put64(refcountTable, refcountBlock);
  return {
    refcountTable,
    refcountBlock,
    activeL1: draft.allocate(),
    ownL2: draft.allocate(),
    sharedL2: draft.allocate(1, 3),
    firstL1: draft.allocate(),
    secondL1: draft.allocate(),
    snapshotL2: draft.allocate(1, 2),
    vmStateL2: draft.allocate(),
    snapshotTable: draft.allocate(),
    // Twice from the active disk, once from each snapshot.
    compressed: draft.allocate(1, 4),
    ownData: draft.allocate(2),
    commonData: draft.allocate(1, 3),
    sharedData: draft.allocate(2, 3),
    snapshotData: draft.allocate(1, 2),
    vmState: draft.allocate(3),
  };
}

function putEntries(draft: Draft, table: number, entries: readonly (bigint | number)[]): void {
  for (const [index, entry] of entries.entries()) draft.put64(table + index * 8, entry);
}

function putHeaderAndSnapshots(draft: Draft, places: Places, diskBytes: number): void {
  const first = { l1: places.firstL1, l1Entries: 3, id: '1', name: 'one', vmStateBytes: VM_STATE_BYTES, diskBytes };
  const second = { l1: places.secondL1, l1Entries: 2, id: '2', name: 'two', vmStateBytes: 0, diskBytes };
  draft.put(places.snapshotTable, snapshotRow(first));
  draft.put(places.snapshotTable + SECOND_ROW, snapshotRow({ ...second, extra: Buffer.from('unknown!') }));
  draft.put32(0, 0x5146_49fb).put32(4, 3).put32(20, draft.clusterBits).put64(24, diskBytes);
  draft.put32(36, 3).put64(40, places.activeL1).put64(48, places.refcountTable).put32(56, 1);
  draft.put32(60, 2).put64(64, places.snapshotTable).put32(96, 4).put32(100, HEADER_BYTES);
  // An extension that nobody knows, and the end of the extensions.
  draft
    .put32(HEADER_BYTES, 0x1234_5678)
    .put32(HEADER_BYTES + 4, 5)
    .put(HEADER_BYTES + 8, Buffer.from('hello'));
}
