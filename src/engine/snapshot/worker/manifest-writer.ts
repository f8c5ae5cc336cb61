import { strict as assert } from 'node:assert';
import type { Image, SnapshotReader } from '../../../block/image.ts';
import { SnapshotFailure } from '../snapshot-failure.ts';
import {
  allocatedGranules,
  DISK_GRANULE_BYTES,
  DISK_GRANULE_BYTES_MAX,
  type DiskDigests,
  diskDigestBytes,
  doubled,
  granuleBytesOf,
  readGranules,
} from './disk-digests.ts';
import { decodeManifest, encodeManifest, fixedBytes, type ManifestBlock } from './manifest.ts';
import type { ManifestPlace } from './manifest-place.ts';
import type { PieceTable } from './piece-table.ts';
import type { TaskControl } from './task-control.ts';

/** Granules for which room is kept at most: 64 GiB of disk at the smallest granule. Fuller disks have larger ones. */
const RESERVED_GRANULES_MAX = 2 ** 20;
/** A CRC for each, and heads of runs: on average there is one for three granules, or granules become larger. */
const RESERVED_BYTES_PER_GRANULE = 8;
const RESERVED_BYTES_MIN = 4096;

/** A snapshot whose manifest is to be written. */
export type SavedNode = {
  readonly image: Image;
  readonly id: string;
  readonly blocks: readonly ManifestBlock[];
  readonly pieces: PieceTable;
  readonly place: ManifestPlace;
};

/** Room that is kept for the digests of a disk, in bytes: what it holds is not known before the snapshot is there. */
export function diskReservation(diskBytes: number): number {
  const granules = Math.min(Math.ceil(diskBytes / DISK_GRANULE_BYTES), RESERVED_GRANULES_MAX);
  return RESERVED_BYTES_MIN + granules * RESERVED_BYTES_PER_GRANULE;
}

/** Digests the disk of a snapshot that was taken, and puts the manifest in the place that was kept for it. */
export async function writeManifest(node: SavedNode, control: TaskControl): Promise<void> {
  const { image, blocks, pieces, place } = node;
  const reader = await image.openSnapshot(node.id);
  const disk = await digestDisk(reader, place.reservedBytes - fixedBytes(blocks, pieces), control);
  const bytes = encodeManifest({ streamBytes: pieces.streamBytes, blocks, pieces, disk });
  assert.equal(decodeManifest(bytes).streamBytes, pieces.streamBytes);
  await control.breathe();
  await reader.rewriteVmState(place.position, bytes);
  await image.flush();
}

async function digestDisk(reader: SnapshotReader, roomBytes: number, control: TaskControl): Promise<DiskDigests> {
  const { diskBytes } = reader.snapshot;
  let granuleBytes = DISK_GRANULE_BYTES;
  let runs = await allocatedGranules(reader, granuleBytes);
  while (diskDigestBytes(runs) > roomBytes) {
    granuleBytes *= 2;
    runs = doubled(runs);
    if (granuleBytes > DISK_GRANULE_BYTES_MAX) {
      throw new SnapshotFailure('engine_failed', `the digests of a disk of ${diskBytes} bytes do not fit ${roomBytes}`);
    }
  }
  control.addTotal(granuleBytesOf(runs, granuleBytes, diskBytes));
  const filled = runs.map(({ first, count }) => ({ firstGranule: first, crcs: new Uint32Array(count) }));
  let run = 0;
  let index = 0;
  for await (const { crc } of readGranules(reader, { runs, granuleBytes, diskBytes }, control)) {
    if (crc instanceof Error) throw crc;
    const crcs = filled[run]?.crcs ?? new Uint32Array();
    crcs[index] = crc;
    index += 1;
    if (index === crcs.length) {
      run += 1;
      index = 0;
    }
  }
  return { diskBytes, granuleBytes, runs: filled };
}
