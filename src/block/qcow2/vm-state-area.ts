import { BlockError, type VmStateWriter } from '../image.ts';
import { ENTRY_BYTES, kindAt, L1_BYTES_MAX, l1EntriesOf, offsetAt, setPointer } from './table-format.ts';
import { forEachClusterOf, TableWriter } from './table-tree.ts';
import { LOCK_KEYS, type Volume } from './volume.ts';

export const APPENDS_MAX = 8;

/** Adjacent clusters of the file that one write fills. */
type Stretch = { readonly offset: number; readonly bytes: Uint8Array };

/**
 * The VM state area while it is written. Its L2 tables and the counts of its clusters are in memory only: nothing in
 * the file points to it until a snapshot contains it. After a crash its clusters are therefore free.
 */
export class VmStateArea implements VmStateWriter {
  readonly #volume: Volume;
  readonly #zeros: Buffer;
  #tables: (Buffer | null)[] = [];
  #position = 0;
  #underWay = 0;
  #failure: BlockError | null = null;
  #isTaken = false;

  constructor(volume: Volume) {
    this.#volume = volume;
    this.#zeros = Buffer.alloc(volume.geometry.clusterBytes);
  }

  get position(): number {
    return this.#position;
  }

  append(bytes: Uint8Array): Promise<void> {
    if (this.#underWay >= APPENDS_MAX) throw new Error(`more than ${APPENDS_MAX} appends to VM state are under way`);
    return this.#enqueue(bytes);
  }

  align(): number {
    const over = this.#position % this.#volume.geometry.clusterBytes;
    // The rest of the last cluster must read as zeros, not as old content of the file.
    if (over > 0) this.#enqueue(this.#zeros.subarray(over)).catch(() => {});
    return this.#position;
  }

  /** Writes the L2 tables to new clusters. @returns the offset of each table, 0 for a hole. */
  async writeTables(): Promise<number[]> {
    if (this.#failure !== null) throw this.#failure;
    const writer = new TableWriter(this.#volume);
    const offsets: number[] = [];
    for (let index = 0; index < this.#tables.length; index += 1) {
      const table = this.#tables[index] ?? null;
      offsets.push(table === null ? 0 : this.#volume.counts.allocate(1));
      if (table !== null) await writer.add({ position: offsets[index]!, bytes: table });
    }
    await writer.flush();
    return offsets;
  }

  /** The area belongs to a snapshot: nothing more can be appended. */
  take(): void {
    this.#isTaken = true;
    this.#tables = [];
  }

  /** Frees the appended data. */
  drop(): void {
    const { geometry } = this.#volume;
    const visitor = { geometry, visit: (offset: number) => this.#volume.counts.lower(offset) };
    // A broken image is never written again, so its counts no longer matter.
    for (const table of this.#volume.broken === null ? this.#tables : []) {
      for (let index = 0; table !== null && index < geometry.tableEntries; index += 1) {
        forEachClusterOf(table, index, visitor);
      }
    }
    this.take();
  }

  #enqueue(bytes: Uint8Array): Promise<void> {
    const position = this.#position;
    this.#position += bytes.length;
    this.#underWay += 1;
    const range = { first: LOCK_KEYS.vmState, last: LOCK_KEYS.vmState, alone: false };
    return this.#volume.locks
      .with(range, () => this.#write(position, bytes))
      .catch((error: BlockError) => {
        this.#failure ??= error;
        throw error;
      })
      .finally(() => {
        this.#underWay -= 1;
      });
  }

  async #write(position: number, bytes: Uint8Array): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    if (this.#isTaken) throw new Error('this VM state was dropped or belongs to a snapshot');
    const stretches = this.#place(position, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    // All writes must end before the clusters may be freed, even if one write fails.
    const written = await Promise.allSettled(
      stretches.map(({ offset, bytes: part }) => this.#volume.write(offset, part)),
    );
    for (const one of written) if (one.status === 'rejected') throw one.reason;
  }

  /** Allocates clusters for all data that is not a hole, in runs as long as possible. */
  #place(position: number, bytes: Buffer): Stretch[] {
    const { clusterBytes } = this.#volume.geometry;
    const end = position + bytes.length;
    const stretches: Stretch[] = [];
    for (let at = position; at < end; ) {
      const first = Math.floor(at / clusterBytes);
      const known = this.#offsetOf(first);
      if (known !== 0 || this.#isHole(at, bytes, position)) {
        const next = Math.min(end, (first + 1) * clusterBytes);
        if (known !== 0) {
          stretches.push({
            offset: known + (at % clusterBytes),
            bytes: bytes.subarray(at - position, next - position),
          });
        }
        at = next;
        continue;
      }
      let clusters = 1;
      for (let next = (first + 1) * clusterBytes; next < end; next += clusterBytes, clusters += 1) {
        if (this.#isHole(next, bytes, position)) break;
      }
      const next = Math.min(end, (first + clusters) * clusterBytes);
      const offset = this.#volume.counts.allocate(clusters);
      for (let index = 0; index < clusters; index += 1) this.#point(first + index, offset + index * clusterBytes);
      stretches.push({ offset: offset + (at % clusterBytes), bytes: bytes.subarray(at - position, next - position) });
      at = next;
    }
    return stretches;
  }

  /** True if the cluster that begins at `at` is completely inside `bytes` and all zero. */
  #isHole(at: number, bytes: Buffer, position: number): boolean {
    const from = at - position;
    const { clusterBytes } = this.#volume.geometry;
    if (at % clusterBytes !== 0 || from + clusterBytes > bytes.length || bytes[from] !== 0) return false;
    return bytes.compare(this.#zeros, 0, clusterBytes, from, from + clusterBytes) === 0;
  }

  #offsetOf(cluster: number): number {
    const { tableEntries } = this.#volume.geometry;
    const table = this.#tables[Math.floor(cluster / tableEntries)] ?? null;
    return table === null || kindAt(table, cluster % tableEntries) === 'unallocated'
      ? 0
      : offsetAt(table, cluster % tableEntries);
  }

  #point(cluster: number, offset: number): void {
    const { file, geometry, pointers } = this.#volume;
    const number = Math.floor(cluster / geometry.tableEntries);
    while (this.#tables.length <= number) this.#tables.push(null);
    if ((l1EntriesOf(pointers.diskBytes, geometry) + number + 1) * ENTRY_BYTES > L1_BYTES_MAX) {
      const message = `${file.path}: VM state of ${this.#position} bytes does not fit behind the disk of this image.`;
      throw new BlockError('image_too_large', message);
    }
    const table = this.#tables[number] ?? Buffer.alloc(geometry.clusterBytes);
    this.#tables[number] = table;
    setPointer(table, cluster % geometry.tableEntries, { offset, copied: true });
  }
}
