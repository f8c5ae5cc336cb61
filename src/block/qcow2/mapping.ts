import { readCompressed } from './compressed.ts';
import { compressedAt, type EntryKind, kindAt, offsetAt } from './entries.ts';
import type { Volume } from './volume.ts';

/** Clusters in a row that read alike: data clusters lie side by side in the file too. */
export type MappedRun = { readonly kind: EntryKind; readonly offset: number; readonly clusters: number };

/** Where the L2 tables of what is read come from, and what its holes read as. */
export type Mapping = {
  table(l1Index: number): Promise<Buffer | null>;
  readHole(position: number, into: Uint8Array): Promise<void>;
};

/** The longest run from an entry on, of at most `clustersMax`, inside its table. */
export function runAt(table: Buffer | null, index: number, clustersMax: number): MappedRun {
  if (table === null) return { kind: 'unallocated', offset: 0, clusters: clustersMax };
  const clusterBytes = table.length;
  const kind = kindAt(table, index);
  const offset = kind === 'data' ? offsetAt(table, index) : 0;
  if (kind === 'compressed') return { kind, offset, clusters: 1 };
  let clusters = 1;
  for (; clusters < clustersMax && kindAt(table, index + clusters) === kind; clusters += 1) {
    if (kind === 'data' && offsetAt(table, index + clusters) !== offset + clusters * clusterBytes) break;
  }
  return { kind, offset, clusters };
}

/** Reads through L1 and L2 tables, from `position` on. */
export async function readMapped(
  volume: Volume,
  mapping: Mapping,
  at: { position: number; into: Uint8Array },
): Promise<void> {
  const { clusterBytes, tableEntries, bytesPerTable } = volume.geometry;
  const end = at.position + at.into.length;
  for (let position = at.position; position < end; ) {
    const table = await mapping.table(Math.floor(position / bytesPerTable));
    const cluster = Math.floor(position / clusterBytes);
    const index = cluster % tableEntries;
    const clustersMax = Math.min(tableEntries - index, Math.ceil(end / clusterBytes) - cluster);
    const run = runAt(table, index, clustersMax);
    const next = Math.min(end, (cluster + run.clusters) * clusterBytes);
    const into = at.into.subarray(position - at.position, next - at.position);
    if (run.kind === 'data') await volume.file.read(run.offset + (position % clusterBytes), into);
    else if (run.kind === 'zero') into.fill(0);
    else if (run.kind === 'unallocated') await mapping.readHole(position, into);
    else {
      const where = { ...compressedAt(table!, index, volume.geometry), from: position % clusterBytes };
      await readCompressed(volume, where, into);
    }
    position = next;
  }
}

/** The active disk. */
export function activeMapping(volume: Volume): Mapping {
  return {
    table: (index) => volume.activeTable(index),
    readHole: (position, into) => readBacking(volume, position, into),
  };
}

export async function readBacking(volume: Volume, position: number, into: Uint8Array): Promise<void> {
  if (volume.backing === null) into.fill(0);
  else await volume.backing.read(position, into);
}
