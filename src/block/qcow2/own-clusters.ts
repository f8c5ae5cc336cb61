import { BlockError } from '../image.ts';
import { ClusterSet } from './cluster-set.ts';
import { offsetAt } from './entries.ts';
import { ENTRY_BYTES } from './geometry.ts';
import type { SnapshotEntry } from './snapshot-table.ts';
import { clustersOfTable } from './tree.ts';
import type { Volume } from './volume.ts';

/**
 * What only one snapshot uses, by its tables and the counts, and is to be given up with it. A table that has rotted may
 * name a cluster of somebody else; given up, that would be overwritten. What the active disk and the image itself use is
 * seen; what only another snapshot uses is not, since all tables of all of them would have to be read for that.
 */
export class OwnClusters {
  readonly #volume: Volume;
  readonly #id: string;
  readonly #clusters: ClusterSet;

  /** @throws BlockError if one is named twice, or is one of the image's own. */
  constructor(volume: Volume, { entry, last }: { readonly entry: SnapshotEntry; readonly last: readonly number[] }) {
    this.#volume = volume;
    this.#id = entry.id;
    const { clusterBytes } = volume.geometry;
    this.#clusters = new ClusterSet({ bytes: volume.file.bytes, clusterBytes });
    for (const offset of last) if (!this.#clusters.add(offset)) throw this.#fault(offset, 'twice');
    for (const offset of clustersOfImage(volume)) this.refuse(offset, 'a table of the image');
  }

  /** @throws BlockError if the cluster, which `what` uses, is among them. */
  refuse(offset: number, what: string): void {
    if (this.#clusters.has(offset)) throw this.#fault(offset, `though it is ${what}`);
  }

  #fault(offset: number, how: string): BlockError {
    const where = `the tables of snapshot ${this.#id} name the cluster at ${offset} ${how}`;
    const advice = 'Nothing was changed; the next start counts anew who uses what.';
    return new BlockError('image_corrupt', `${this.#volume.file.path}: ${where}. ${advice}`);
  }
}

/** Counts, L1 tables, the snapshot table, and the L2 tables of the active disk. */
function* clustersOfImage(volume: Volume): Iterable<number> {
  const { pointers, counts } = volume;
  yield* counts.ownClusters();
  yield* clustersOfTable(volume, { offset: pointers.snapshotTable.offset, bytes: volume.snapshotTableBytes });
  for (const { offset, entries } of [pointers.l1, ...volume.snapshots.map(({ l1 }) => l1)]) {
    yield* clustersOfTable(volume, { offset, bytes: entries * ENTRY_BYTES });
  }
  for (let index = 0; index < volume.l1.length / ENTRY_BYTES; index += 1) {
    const offset = offsetAt(volume.l1, index);
    if (offset !== 0) yield offset;
  }
}
