import { type AllocatedStretch, BlockError, type ImageSnapshot, type SnapshotReader } from '../image.ts';
import { alignmentFault, assertInside, entryError } from './l2-tables.ts';
import { type Mapping, readBacking, readMapped, runAt } from './mapping.ts';
import { asSnapshot, type SnapshotEntry } from './snapshot-table.ts';
import { compressedAt, ENTRY_BYTES, kindAt, l1EntriesOf, l1Fault, offsetAt } from './table-format.ts';
import { LOCK_KEYS, type Volume } from './volume.ts';

const BESIDE_OTHERS = { first: LOCK_KEYS.snapshots, last: LOCK_KEYS.snapshots, alone: false } as const;

/** Reads the L1 table of a snapshot. @throws BlockError */
export async function readSnapshotL1({ file, geometry }: Volume, { id, l1 }: SnapshotEntry): Promise<Buffer> {
  const name = `L1 table of snapshot ${id}`;
  const table = Buffer.alloc(l1.entries * ENTRY_BYTES);
  assertInside(file, { name, offset: l1.offset, bytes: table.length });
  await file.read(l1.offset, table);
  for (let index = 0; index < l1.entries; index += 1) {
    const fault = l1Fault(table, index) ?? alignmentFault(offsetAt(table, index), geometry);
    if (fault !== null) throw entryError(file, { name, at: l1.offset, index, fault });
  }
  return table;
}

/** L2 tables that a reader keeps. Reads go forward, in the VM state and on the disk. */
const TABLES_MAX = 8;

/**
 * Reads a snapshot through its own tables, which come from the file: a table in the cache of the active disk would hide
 * damage in the file. The tables of a snapshot do not change while the snapshot exists.
 */
export class TreeReader implements SnapshotReader {
  readonly snapshot: ImageSnapshot;
  readonly #volume: Volume;
  #entry: SnapshotEntry;
  #l1: Buffer;
  /** `layout` of the volume when the tables were read. */
  #layout: number;
  readonly #tables = new Map<number, Promise<Buffer>>();
  /** Position of the VM state in the address space of the L1 table. */
  readonly #vmStateStart: number;

  constructor(volume: Volume, entry: SnapshotEntry, l1: Buffer) {
    this.snapshot = asSnapshot(entry);
    this.#volume = volume;
    this.#entry = entry;
    this.#l1 = l1;
    this.#layout = volume.layout;
    this.#vmStateStart = l1EntriesOf(entry.diskBytes, volume.geometry) * volume.geometry.bytesPerTable;
  }

  readVmState(position: number, into: Uint8Array): Promise<void> {
    const readHole = async (_position: number, part: Uint8Array) => void part.fill(0);
    return this.#use(() => this.#read(readHole, this.#vmStateStart + position, into));
  }

  async rewriteVmState(position: number, bytes: Uint8Array): Promise<void> {
    const { clusterBytes } = this.#volume.geometry;
    await this.#use(async () => {
      for (let done = 0; done < bytes.length; ) {
        const at = this.#vmStateStart + position + done;
        const next = Math.min(bytes.length, done + clusterBytes - (at % clusterBytes));
        const offset = await this.#ownOffset(at);
        await this.#volume.write(offset + (at % clusterBytes), bytes.subarray(done, next));
        done = next;
      }
    });
  }

  async readDisk(offset: number, into: Uint8Array): Promise<void> {
    const { diskBytes, id } = this.#entry;
    if (!(offset >= 0 && offset + into.length <= diskBytes)) {
      const message = `${this.#volume.file.path}: ${into.length} bytes at ${offset} are not all inside the disk of ${diskBytes} bytes of snapshot ${id}.`;
      throw new BlockError('out_of_range', message);
    }
    const readHole = (position: number, part: Uint8Array) => readBacking(this.#volume, position, part);
    await this.#use(() => this.#read(readHole, offset, into));
  }

  async *allocatedDisk(): AsyncIterable<AllocatedStretch> {
    const { bytesPerTable } = this.#volume.geometry;
    let last: AllocatedStretch | null = null;
    for (let index = 0; index * bytesPerTable < this.#entry.diskBytes; index += 1) {
      const table = await this.#use(() => this.#table(index));
      if (table === null) continue;
      for (const { offset, bytes } of this.#stretchesOf(table, index)) {
        if (last !== null && last.offset + last.bytes === offset)
          last = { offset: last.offset, bytes: last.bytes + bytes };
        else {
          if (last !== null) yield last;
          last = { offset, bytes };
        }
      }
    }
    if (last !== null) yield last;
  }

  fileOffsetOfVmState(position: number): Promise<number | null> {
    return this.#use(() => this.#fileOffset(this.#vmStateStart + position));
  }

  fileOffsetOfDisk(offset: number): Promise<number | null> {
    return this.#use(() => this.#fileOffset(offset));
  }

  /** Runs `work` while the snapshot exists and its tables do not move. */
  #use<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#volume.locks.with(BESIDE_OTHERS, async () => {
      await this.#lookAgain();
      return work();
    });
  }

  async #lookAgain(): Promise<void> {
    const { snapshots, layout, file } = this.#volume;
    const { id } = this.#entry;
    const now = snapshots.find((other) => other.id === id);
    const isMoved = layout !== this.#layout;
    if (now === undefined || !(isMoved ? isSameMoment(now, this.#entry) : now.l1.offset === this.#entry.l1.offset)) {
      throw new BlockError('snapshot_not_found', `${file.path}: snapshot ${id} was deleted.`);
    }
    if (!isMoved) return;
    this.#l1 = await readSnapshotL1(this.#volume, now);
    this.#entry = now;
    this.#tables.clear();
    this.#layout = layout;
  }

  #read(readHole: Mapping['readHole'], position: number, into: Uint8Array): Promise<void> {
    return readMapped(this.#volume, { table: (index) => this.#table(index), readHole }, { position, into });
  }

  async #table(index: number): Promise<Buffer | null> {
    const offset = index < this.#entry.l1.entries ? offsetAt(this.#l1, index) : 0;
    if (offset === 0) return null;
    const known = this.#tables.get(index);
    if (known !== undefined) return known;
    const [oldest] = this.#tables.keys();
    if (oldest !== undefined && this.#tables.size >= TABLES_MAX) this.#tables.delete(oldest);
    const loading = this.#volume.tables.fresh(offset);
    this.#tables.set(index, loading);
    return loading;
  }

  *#stretchesOf(table: Buffer, l1Index: number): Iterable<AllocatedStretch> {
    const { clusterBytes, tableEntries, bytesPerTable } = this.#volume.geometry;
    for (let index = 0; index < tableEntries; ) {
      const { kind, clusters } = runAt(table, index, tableEntries - index);
      const offset = l1Index * bytesPerTable + index * clusterBytes;
      index += clusters;
      if (kind === 'unallocated' || kind === 'zero' || offset >= this.#entry.diskBytes) continue;
      yield { offset, bytes: Math.min(clusters * clusterBytes, this.#entry.diskBytes - offset) };
    }
  }

  async #fileOffset(position: number): Promise<number | null> {
    const { clusterBytes, tableEntries, bytesPerTable } = this.#volume.geometry;
    const table = await this.#table(Math.floor(position / bytesPerTable));
    const index = Math.floor(position / clusterBytes) % tableEntries;
    const kind = table === null ? 'unallocated' : kindAt(table, index);
    if (kind === 'compressed') return compressedAt(table!, index, this.#volume.geometry).offset;
    return kind === 'data' ? offsetAt(table!, index) : null;
  }

  /** File offset of a cluster that only this snapshot uses. @throws BlockError for a hole or a shared cluster. */
  async #ownOffset(position: number): Promise<number> {
    const { clusterBytes, tableEntries, bytesPerTable } = this.#volume.geometry;
    const table = await this.#table(Math.floor(position / bytesPerTable));
    const index = Math.floor(position / clusterBytes) % tableEntries;
    if (table !== null && kindAt(table, index) === 'data') {
      const offset = offsetAt(table, index);
      if (this.#volume.counts.get(offset) === 1) return offset;
    }
    const where = `VM state of snapshot ${this.#entry.id} at ${position - this.#vmStateStart}`;
    const message = `${this.#volume.file.path}: ${where} is a hole or shared, so it cannot be rewritten.`;
    throw new BlockError('out_of_range', message);
  }
}

/** Compares more than the id, because the id of a deleted snapshot may be used again. */
function isSameMoment(one: SnapshotEntry, other: SnapshotEntry): boolean {
  return one.dateMs === other.dateMs && one.clockNs === other.clockNs && one.vmStateBytes === other.vmStateBytes;
}
