import { BlockError } from '../image.ts';
import type { Committer } from './commit.ts';
import { activeMapping, readMapped, runAt } from './mapping.ts';
import { isCopied, kindAt, setPointer, setZero } from './table-format.ts';
import { forEachClusterOf } from './table-tree.ts';
import type { Volume } from './volume.ts';

/** The part of a request that one L2 table maps. `position` is a byte of the disk. */
type Part = { readonly l1Index: number; readonly position: number; readonly bytes: Uint8Array };

/**
 * Reads, writes and discards of the active disk. A request waits for earlier requests to the same clusters. A write has
 * its clusters alone, so that no cluster moves while it is read.
 */
export class ActiveDisk {
  readonly #volume: Volume;
  readonly #committer: Committer;

  constructor(volume: Volume, committer: Committer) {
    this.#volume = volume;
    this.#committer = committer;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#assertInside(offset, into.length);
    if (into.length === 0) return;
    await this.#volume.locks.with(this.#clusters(offset, into.length, false), () =>
      readMapped(this.#volume, activeMapping(this.#volume), { position: offset, into }),
    );
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    this.#assertInside(offset, from.length);
    if (from.length === 0) return;
    await this.#volume.locks.with(this.#clusters(offset, from.length, true), async () => {
      this.#assertInside(offset, from.length);
      const { taken } = this.#committer;
      for (const part of this.#parts(offset, from)) await this.#writePart(part);
      // A commit during this write stored counts of new clusters before any table pointed to them: they would look
      // leaked.
      if (this.#committer.taken !== taken && this.#volume.isDirty) await this.#committer.tidyUp();
      await this.#commitIfMuch();
    });
  }

  async discard(offset: number, bytes: number): Promise<void> {
    this.#assertInside(offset, bytes);
    const { clusterBytes } = this.#volume.geometry;
    const start = Math.ceil(offset / clusterBytes) * clusterBytes;
    // The last cluster of the disk may be shorter than the others.
    const isToEnd = offset + bytes === this.#volume.pointers.diskBytes;
    const end = isToEnd ? offset + bytes : Math.floor((offset + bytes) / clusterBytes) * clusterBytes;
    if (end <= start) return;
    await this.#volume.locks.with(this.#clusters(start, end - start, true), async () => {
      this.#volume.assertWritable();
      const { bytesPerTable } = this.#volume.geometry;
      for (let position = start; position < end; ) {
        const next = Math.min(end, (Math.floor(position / bytesPerTable) + 1) * bytesPerTable);
        await this.#discardPart(position, next - position);
        position = next;
      }
      await this.#commitIfMuch();
    });
  }

  #assertInside(offset: number, bytes: number): void {
    const { diskBytes } = this.#volume.pointers;
    if (Number.isSafeInteger(offset) && offset >= 0 && bytes >= 0 && offset + bytes <= diskBytes) return;
    const message = `${this.#volume.file.path}: ${bytes} bytes at ${offset} are not all inside the disk of ${diskBytes} bytes.`;
    throw new BlockError('out_of_range', message);
  }

  #clusters(offset: number, bytes: number, alone: boolean) {
    const { clusterBytes } = this.#volume.geometry;
    return { first: Math.floor(offset / clusterBytes), last: Math.floor((offset + bytes - 1) / clusterBytes), alone };
  }

  *#parts(offset: number, from: Uint8Array): Iterable<Part> {
    const { bytesPerTable } = this.#volume.geometry;
    for (let done = 0; done < from.length; ) {
      const position = offset + done;
      const l1Index = Math.floor(position / bytesPerTable);
      const end = Math.min(from.length, (l1Index + 1) * bytesPerTable - offset);
      yield { l1Index, position, bytes: from.subarray(done, end) };
      done = end;
    }
  }

  async #writePart({ l1Index, position, bytes }: Part): Promise<void> {
    const volume = this.#volume;
    const { clusterBytes, tableEntries } = volume.geometry;
    volume.assertWritable();
    const end = position + bytes.length;
    for (let at = position; at < end; ) {
      const table = await volume.activeTable(l1Index);
      const cluster = Math.floor(at / clusterBytes);
      const run = writeRunAt(table, cluster % tableEntries, Math.ceil(end / clusterBytes) - cluster);
      const next = Math.min(end, (cluster + run.clusters) * clusterBytes);
      const slice = bytes.subarray(at - position, next - position);
      if (run.inPlace !== null) await volume.write(run.inPlace + (at % clusterBytes), slice);
      else await this.#writeNew({ l1Index, position: at, bytes: slice });
      at = next;
    }
  }

  /** Writes to new clusters. A cluster that is written in part gets the rest of its content from its old place. */
  async #writeNew({ l1Index, position, bytes }: Part): Promise<void> {
    const volume = this.#volume;
    const { clusterBytes } = volume.geometry;
    await volume.ownTable(l1Index);
    const end = position + bytes.length;
    for (let at = position; at < end; ) {
      const first = Math.floor(at / clusterBytes);
      const place = volume.counts.allocateUpTo(Math.ceil(end / clusterBytes) - first);
      const next = Math.min(end, (first + place.clusters) * clusterBytes);
      try {
        await this.#fill(place.offset - first * clusterBytes, at, bytes.subarray(at - position, next - position));
      } catch (error) {
        for (let index = 0; index < place.clusters; index += 1) {
          volume.counts.lower(place.offset + index * clusterBytes);
        }
        throw error;
      }
      await this.#point(l1Index, first, place);
      at = next;
    }
  }

  /** Writes whole clusters that contain `bytes`. File offset = position on the disk + `shift`. */
  async #fill(shift: number, position: number, bytes: Uint8Array): Promise<void> {
    const { clusterBytes } = this.#volume.geometry;
    const end = position + bytes.length;
    const headEnd = position % clusterBytes === 0 ? position : Math.ceil(position / clusterBytes) * clusterBytes;
    if (headEnd > position)
      await this.#fillPartly(shift, position, bytes.subarray(0, Math.min(end, headEnd) - position));
    const tailStart = Math.floor(end / clusterBytes) * clusterBytes;
    if (tailStart > headEnd) {
      await this.#volume.write(headEnd + shift, bytes.subarray(headEnd - position, tailStart - position));
    }
    if (tailStart < headEnd || tailStart === end) return;
    await this.#fillPartly(shift, tailStart, bytes.subarray(tailStart - position));
  }

  async #fillPartly(shift: number, position: number, bytes: Uint8Array): Promise<void> {
    const volume = this.#volume;
    const { clusterBytes } = volume.geometry;
    const start = Math.floor(position / clusterBytes) * clusterBytes;
    const content = Buffer.allocUnsafeSlow(clusterBytes);
    await readMapped(volume, activeMapping(volume), { position: start, into: content });
    content.set(bytes, position - start);
    await volume.write(start + shift, content);
  }

  async #point(l1Index: number, first: number, place: { offset: number; clusters: number }): Promise<void> {
    const volume = this.#volume;
    const { clusterBytes, tableEntries } = volume.geometry;
    await volume.updateTable(l1Index, (table) => {
      for (let index = 0; index < place.clusters; index += 1) {
        const entry = (first + index) % tableEntries;
        this.#giveUp(table, entry);
        setPointer(table, entry, { offset: place.offset + index * clusterBytes, copied: true });
      }
    });
  }

  async #discardPart(position: number, bytes: number): Promise<void> {
    const volume = this.#volume;
    const { clusterBytes, tableEntries, bytesPerTable } = volume.geometry;
    const l1Index = Math.floor(position / bytesPerTable);
    const first = Math.floor(position / clusterBytes) % tableEntries;
    const clusters = Math.ceil(bytes / clusterBytes);
    const hasBacking = volume.backing !== null;
    const isHole = runAt(await volume.activeTable(l1Index), first, clusters);
    if (isHole.clusters === clusters && isHole.kind === 'unallocated' && !hasBacking) return;
    await volume.ownTable(l1Index);
    await volume.updateTable(l1Index, (table) => {
      for (let entry = first; entry < first + clusters; entry += 1) {
        this.#giveUp(table, entry);
        // Without a backing file an empty entry also reads as zeros.
        if (hasBacking) setZero(table, entry);
        else setPointer(table, entry, { offset: 0, copied: false });
      }
    });
  }

  #giveUp(table: Buffer, entry: number): void {
    const { geometry } = this.#volume;
    forEachClusterOf(table, entry, { geometry, visit: (offset) => this.#volume.lowerLater(offset) });
  }

  async #commitIfMuch(): Promise<void> {
    if (this.#volume.tables.wantsWriting) await this.#committer.commit();
  }
}

/** The longest run of clusters that are all written in place, adjacent in the file, or that all need new clusters. */
function writeRunAt(table: Buffer | null, index: number, clustersMax: number) {
  const inPlaceAt = (entry: number) => table !== null && kindAt(table, entry) === 'data' && isCopied(table, entry);
  if (!inPlaceAt(index)) {
    let clusters = 1;
    while (clusters < clustersMax && !inPlaceAt(index + clusters)) clusters += 1;
    return { inPlace: null, clusters };
  }
  const run = runAt(table, index, clustersMax);
  let clusters = 1;
  while (clusters < run.clusters && inPlaceAt(index + clusters)) clusters += 1;
  return { inPlace: run.offset, clusters };
}
