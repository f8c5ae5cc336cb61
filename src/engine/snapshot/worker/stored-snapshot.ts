import type { Image, SnapshotReader } from '../../../block/image.ts';
import type { DamageReport } from '../../../domain/ports/block-nodes.ts';
import { SnapshotFailure } from '../task-control.ts';
import { decodeManifest, MANIFEST_HEADER_BYTES, type Manifest, manifestBytes } from './manifest.ts';
import type { Nodes } from './open-nodes.ts';
import { decodePlace, type ManifestPlace } from './snapshot-extra.ts';
import { BrokenManifestError } from './stream-pieces.ts';

/** The snapshot of one node, open to be read. */
export type StoredSnapshot = {
  readonly node: string;
  readonly image: Image;
  readonly reader: SnapshotReader;
  /** Null if the snapshot has no digests, or if they are damaged; the damage is reported then. */
  readonly manifest: Manifest | null;
  /** True if the snapshot has digests, damaged or not. */
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

/** Opens the snapshots of all `names` with their manifests, and reports a damaged manifest to `damage`. */
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

/** Reads a manifest; null if the snapshot has none. @throws Error if it cannot be used; the message is a clause. */
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

/** A file offset for a report; null if it cannot be read. */
export async function fileOffsetOf(asked: Promise<number | null>): Promise<number | null> {
  try {
    return await asked;
  } catch {
    return null;
  }
}

/** Most places that are listed; further ones are only counted. */
const REPORTS_MAX = 64;

/** The damaged places of a snapshot. */
export class DamageList {
  readonly #tag: string;
  readonly #endsAtFirst: boolean;
  readonly #reports: DamageReport[] = [];
  #count = 0;
  /** Description of the first damage, as a clause. */
  #first = '';

  /** @param options `endsAtFirst`: `add` throws at once, because a load cannot use a damaged snapshot. */
  constructor(tag: string, options: { readonly endsAtFirst: boolean }) {
    this.#tag = tag;
    this.#endsAtFirst = options.endsAtFirst;
  }

  /** Records damage. @param what a clause. @throws SnapshotFailure with `endsAtFirst`. */
  add(report: DamageReport, what: string): void {
    this.#count += 1;
    if (this.#count === 1) this.#first = `${what}: ${describePlace(report)}`;
    if (this.#reports.length < REPORTS_MAX) this.#reports.push(report);
    if (this.#endsAtFirst) this.throwIfAny();
  }

  /** @throws SnapshotFailure that lists all places found so far. */
  throwIfAny(): void {
    if (this.#count === 0) return;
    const more = this.#count === 1 ? '' : `, and at ${this.#count - 1} more places`;
    throw new SnapshotFailure(
      'snapshot_damaged',
      `Snapshot '${this.#tag}' is damaged: ${this.#first}${more}.`,
      this.#reports,
    );
  }
}

function describePlace({ node, ramBlock, area, offset, bytes, fileOffset }: DamageReport): string {
  const hex = (value: number) => `0x${value.toString(16)}`;
  const areas = { ram: `RAM block '${ramBlock}'`, 'vm-state': 'the VM state', disk: 'the disk', metadata: 'the image' };
  const inFile = fileOffset === null ? '' : ` (cluster at ${hex(fileOffset)} of the image file)`;
  return `${areas[area]} of node '${node}', ${bytes} bytes at ${hex(offset)}${inFile}`;
}
