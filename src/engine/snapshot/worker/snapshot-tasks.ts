import { createHash } from 'node:crypto';
import { totalmem } from 'node:os';
import type {
  Compaction,
  CompactPlan,
  DeletePlan,
  DigestReading,
  PartDigests,
  RenamePlan,
  SnapshotDigest,
  VerifyPlan,
  VerifyResult,
} from '../../../domain/ports/block-nodes.ts';
import type { TaskControl } from '../task-control.ts';
import { checkDisk, checkedStream, readMachine } from './checked-content.ts';
import type { Manifest } from './manifest.ts';
import type { Nodes } from './open-nodes.ts';
import { DamageList, findSnapshot, keptManifest, openStored, type StoredSnapshot } from './stored-snapshot.ts';
import { NO_BLOCK } from './stream-pieces.ts';

/**
 * Reads a whole snapshot, also behind damage. With digests every byte is checked against them. Without digests the
 * stream is decoded into temporary memory, which checks its structure.
 * @throws SnapshotFailure `snapshot_damaged` with all damaged places.
 */
export async function verify(plan: VerifyPlan, nodes: Nodes, control: TaskControl): Promise<VerifyResult> {
  const { tag, vmState, devices } = plan;
  const damage = new DamageList(tag, { endsAtFirst: false });
  const names = [...new Set([...(vmState === null ? [] : [vmState]), ...devices])];
  const digests: SnapshotDigest[] = [];
  let checkedBytes = 0;
  const snapshots = await openStored(names, { tag, nodes, damage });
  for (const stored of snapshots) {
    if (stored.node === vmState) checkedBytes += await checkVmState(stored, damage, control);
    checkedBytes += await checkDisk(stored, damage, control);
    if (stored.manifest !== null) {
      digests.push(...(await shownDigests(stored.node, stored.manifest, control)));
    }
    await stored.image.checkFile(stored.reader.snapshot.id);
  }
  damage.throwIfAny();
  return { hadDigests: snapshots.every(({ hasDigests }) => hasDigests), digests, checkedBytes };
}

async function checkVmState(stored: StoredSnapshot, damage: DamageList, control: TaskControl): Promise<number> {
  const { vmStateBytes } = stored.reader.snapshot;
  if (stored.manifest === null && vmStateBytes > 0) {
    const expected = { target: { form: 'image', ramBytesMax: totalmem() }, capabilities: [], uuid: '' } as const;
    await readMachine({ stored, expected, damage, control });
  } else {
    for await (const _ of checkedStream(stored, { damage, control }));
  }
  return vmStateBytes;
}

/**
 * Reads the stored digests of a snapshot, without the data that they belong to. It may run beside other tasks, so the
 * snapshot may be deleted during the read. An error concerns only its node.
 */
export async function readDigests(
  { tag, devices }: DeletePlan,
  nodes: Nodes,
  control: TaskControl,
): Promise<readonly DigestReading[]> {
  const readings: DigestReading[] = [];
  for (const node of devices) {
    await control.breathe();
    try {
      readings.push({ node, digests: await digestsOf(nodes, { node, tag }, control), fault: null });
    } catch (error) {
      control.check();
      const why = error instanceof Error ? error.message : String(error);
      readings.push({ node, digests: null, fault: `The digests cannot be used, ${why}` });
    }
  }
  return readings;
}

async function digestsOf(
  nodes: Nodes,
  { node, tag }: { readonly node: string; readonly tag: string },
  control: TaskControl,
): Promise<PartDigests | null> {
  const image = nodes.image(node);
  const id = findSnapshot(image, tag);
  if (id === null) throw new Error('the snapshot was deleted');
  const manifest = await keptManifest(await image.openSnapshot(id));
  return manifest === null ? null : partDigests(manifest, control);
}

const ENTRY_BYTES = 16;
/** Entries in one call of the hash: for single entries the calls would cost more than the hash. */
const ENTRIES = 256;

/**
 * One digest for each RAM block, the device state and the disk: SHA-256 over u64 offset, u32 length, u32 CRC-32 of
 * their parts in order. Offsets of RAM and device state are offsets in the stream; offsets of a disk are positions on
 * it.
 */
export async function partDigests(manifest: Manifest, control: TaskControl): Promise<PartDigests> {
  const blocks = manifest.blocks.map(() => new EntryHash());
  const devices = new EntryHash();
  for (const { block, position, bytes, crc } of manifest.pieces) {
    const hash = block === NO_BLOCK ? devices : (blocks[block] ?? devices);
    if (hash.add(position, bytes, crc)) await control.breathe();
  }
  const hasVmState = manifest.streamBytes > 0;
  const named = manifest.blocks.map(({ name, bytes }, index) => ({
    name,
    bytes,
    digest: blocks[index]?.digest() ?? '',
  }));
  return {
    ramBlocks: hasVmState ? named : [],
    deviceState: hasVmState ? devices.digest() : null,
    disk: await diskDigest(manifest, control),
  };
}

async function diskDigest({ disk }: Manifest, control: TaskControl): Promise<string> {
  const { granuleBytes, diskBytes, runs } = disk;
  const hash = new EntryHash();
  for (const { firstGranule, crcs } of runs) {
    for (let index = 0; index < crcs.length; index += 1) {
      const offset = (firstGranule + index) * granuleBytes;
      const isFull = hash.add(offset, Math.min(granuleBytes, diskBytes - offset), crcs[index] ?? 0);
      if (isFull) await control.breathe();
    }
  }
  return hash.digest();
}

/** The same digests as a list, for the result of a verification. */
export async function shownDigests(node: string, manifest: Manifest, control: TaskControl): Promise<SnapshotDigest[]> {
  const { ramBlocks, deviceState, disk } = await partDigests(manifest, control);
  const digests: SnapshotDigest[] = ramBlocks.map(({ name, digest }) => ({ kind: 'ram-block', name, digest }));
  if (deviceState !== null) digests.push({ kind: 'device-state', name: node, digest: deviceState });
  return [...digests, { kind: 'disk', name: node, digest: disk }];
}

class EntryHash {
  readonly #hash = createHash('sha256');
  readonly #waiting = Buffer.alloc(ENTRIES * ENTRY_BYTES);
  #used = 0;

  /** @returns true after a full block of entries: a suitable moment to let other work run. */
  add(offset: number, bytes: number, crc: number): boolean {
    this.#waiting.writeBigUInt64BE(BigInt(offset), this.#used);
    this.#waiting.writeUInt32BE(bytes, this.#used + 8);
    this.#waiting.writeUInt32BE(crc, this.#used + 12);
    this.#used += ENTRY_BYTES;
    if (this.#used < this.#waiting.length) return false;
    this.#flush();
    return true;
  }

  digest(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #flush(): void {
    this.#hash.update(this.#waiting.subarray(0, this.#used));
    this.#used = 0;
  }
}

/**
 * Removes a snapshot from all nodes that have it. Progress counts the bytes of its tables and the freed bytes. A cancel
 * takes effect only before the first removal: an incomplete snapshot would be of no use.
 */
export async function deleteSnapshot({ tag, devices }: DeletePlan, nodes: Nodes, control: TaskControl): Promise<void> {
  for (const name of devices) await nodes.image(name).assertPresent();
  const parts = devices.flatMap((name) => {
    const image = nodes.image(name);
    const id = findSnapshot(image, tag);
    return id === null ? [] : [{ image, id }];
  });
  for (const { image, id } of parts) control.addTotal(image.tableBytesOf(id));
  await control.breathe();
  for (const { image, id } of parts) await image.deleteSnapshot(id, control);
  for (const name of devices) await nodes.image(name).assertPresent();
}

/**
 * Renames a snapshot and replaces the snapshots that have the new tag, on each node with one header write. It may be
 * repeated after an interruption: the date shows which nodes are done.
 */
export async function renameSnapshot(plan: RenamePlan, nodes: Nodes, control: TaskControl): Promise<void> {
  const { tag, as, dateMs, devices } = plan;
  for (const name of devices) await nodes.image(name).assertPresent();
  control.addTotal(devices.length);
  await control.breathe();
  for (const name of devices) {
    const image = nodes.image(name);
    const renamed = findSnapshot(image, tag);
    const replaced = image.snapshots.filter((one) => one.name === as && one.dateMs !== dateMs).map(({ id }) => id);
    if (renamed !== null) await image.renameSnapshot(renamed, { name: as, inPlaceOf: replaced });
    else for (const id of replaced) await image.deleteSnapshot(id);
    control.addCurrent(1);
  }
  for (const name of devices) await nodes.image(name).checkFile();
}

/**
 * Compacts the images of the nodes one after the other. A pause, a cancel and a handover of the disks take effect
 * between two steps; earlier moves of clusters are kept.
 */
export async function compactImages(
  { devices }: CompactPlan,
  nodes: Nodes,
  control: TaskControl,
): Promise<readonly Compaction[]> {
  const compactions: Compaction[] = [];
  for (const node of devices) {
    await control.breathe();
    const image = nodes.image(node);
    const { before, after, movedBytes } = await image.compact(control);
    await image.checkFile();
    compactions.push({
      node,
      fileBytesBefore: before.fileBytes,
      fileBytes: after.fileBytes,
      allocatedBytesBefore: before.allocatedBytes,
      allocatedBytes: after.allocatedBytes,
      movedBytes,
    });
  }
  return compactions;
}
