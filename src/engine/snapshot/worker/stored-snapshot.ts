import type { Image, SnapshotReader } from '../../../block/image.ts';
import { SnapshotFailure } from '../snapshot-failure.ts';
import { BrokenManifestError } from './broken-manifest.ts';
import type { DamageList } from './damage-list.ts';
import { decodeManifest, MANIFEST_HEADER_BYTES, type Manifest, manifestBytes } from './manifest.ts';
import { decodePlace, type ManifestPlace } from './manifest-place.ts';
import type { Nodes } from './nodes.ts';

/** One node's snapshot with a tag, open to be read. */
export type StoredSnapshot = {
  readonly node: string;
  readonly image: Image;
  readonly reader: SnapshotReader;
  /** Null if the snapshot has no digests, or if they are damaged, which has been told then. */
  readonly manifest: Manifest | null;
  /** True if digests are kept with it, damaged or not. */
  readonly hasDigests: boolean;
};

/** The id of a node's snapshot with this tag, or null. */
export function findSnapshot(image: Image, tag: string): string | null {
  return image.snapshots.find(({ name }) => name === tag)?.id ?? null;
}

/** @throws SnapshotFailure if the node has no such snapshot. */
export function needSnapshot(image: Image, tag: string, node: string): string {
  const id = findSnapshot(image, tag);
  if (id === null) throw new SnapshotFailure('snapshot_not_found', `Node '${node}' has no snapshot '${tag}'.`);
  return id;
}

/** Opens the snapshots of all `names` with their manifests; a damaged manifest goes to `damage`. */
export async function openStored(
  names: readonly string[],
  options: { readonly tag: string; readonly nodes: Nodes; readonly damage: DamageList },
): Promise<StoredSnapshot[]> {
  const stored: StoredSnapshot[] = [];
  for (const node of names) {
    const image = options.nodes.image(node);
    await image.assertPresent();
    const reader = await image.openSnapshot(needSnapshot(image, options.tag, node));
    const place = decodePlace(reader.snapshot.extra);
    const manifest = place === null ? null : await readManifest({ node, reader, place, damage: options.damage });
    stored.push({ node, image, reader, manifest, hasDigests: place !== null });
  }
  return stored;
}

async function readManifest(options: {
  readonly node: string;
  readonly reader: SnapshotReader;
  readonly place: ManifestPlace | 'damaged';
  readonly damage: DamageList;
}): Promise<Manifest | null> {
  const { node, reader, place, damage } = options;
  let what: string;
  try {
    return await manifestAt(reader, place);
  } catch (error) {
    what = error instanceof Error ? error.message : String(error);
  }
  const isPlaced = place !== 'damaged';
  const fileOffset = isPlaced ? await fileOffsetOf(reader.fileOffsetOfVmState(place.position)) : null;
  const bytes = isPlaced ? place.reservedBytes : 0;
  const report = { node, ramBlock: null, area: 'metadata', offset: fileOffset ?? 0, bytes, fileOffset } as const;
  damage.add(report, `its digests cannot be used, ${what}`);
  return null;
}

/** Null if no digests were kept. @throws Error that says, as a clause, why those that were cannot be used. */
export async function keptManifest(reader: SnapshotReader): Promise<Manifest | null> {
  const place = decodePlace(reader.snapshot.extra);
  return place === null ? null : manifestAt(reader, place);
}

async function manifestAt(reader: SnapshotReader, place: ManifestPlace | 'damaged'): Promise<Manifest> {
  if (place === 'damaged') throw new BrokenManifestError('the snapshot table does not say where they are');
  const { position, reservedBytes } = place;
  if (reservedBytes < MANIFEST_HEADER_BYTES) throw new BrokenManifestError(`${reservedBytes} bytes are kept for them`);
  const header = new Uint8Array(MANIFEST_HEADER_BYTES);
  await reader.readVmState(position, header);
  const bytes = Buffer.alloc(manifestBytes(header, reservedBytes));
  await reader.readVmState(position, bytes);
  const manifest = decodeManifest(bytes);
  const { vmStateBytes, diskBytes } = reader.snapshot;
  if (manifest.streamBytes !== vmStateBytes) {
    throw new BrokenManifestError(`it is for a VM state of ${manifest.streamBytes} bytes, not ${vmStateBytes}`);
  }
  if (manifest.disk.diskBytes !== diskBytes) {
    throw new BrokenManifestError(`it is for a disk of ${manifest.disk.diskBytes} bytes, not ${diskBytes}`);
  }
  return manifest;
}

/** A place in the file where it can be told, for a report. */
export async function fileOffsetOf(asked: Promise<number | null>): Promise<number | null> {
  try {
    return await asked;
  } catch {
    return null;
  }
}
