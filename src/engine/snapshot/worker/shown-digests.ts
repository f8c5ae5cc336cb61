import { createHash } from 'node:crypto';
import type { PartDigests, SnapshotDigest } from '../../../domain/ports/block-nodes.ts';
import type { Manifest } from './manifest.ts';
import { NO_BLOCK } from './piece-table.ts';
import type { TaskControl } from './task-control.ts';

const ENTRY_BYTES = 16;
/** Entries that are hashed together; each has little, so that alone the calls would cost more than the hash. */
const ENTRIES = 256;

/**
 * One digest for each RAM block, the device state and the disk: SHA-256 over u64 offset, u32 length, u32 CRC-32 of
 * their stretches in order. Offsets of RAM and device state are those in the stream, of a disk those on it.
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

/** The same as a list, as the result of a verification has it. */
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

  /** @returns true now and then: a moment to let others have the thread. */
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
