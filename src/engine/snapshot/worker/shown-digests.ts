import { createHash, type Hash } from 'node:crypto';
import type { SnapshotDigest } from '../../../domain/snapshot-port.ts';
import type { Manifest } from './manifest.ts';
import { NO_BLOCK } from './piece-table.ts';

/**
 * One digest for each RAM block, the device state and the disk: SHA-256 over u64 offset, u32 length, u32 CRC-32 of
 * their stretches in order. Offsets of RAM and device state are those in the stream, of a disk those on it.
 */
export function shownDigests(node: string, manifest: Manifest): SnapshotDigest[] {
  const digests: SnapshotDigest[] = [];
  if (manifest.streamBytes > 0) {
    const blocks = manifest.blocks.map(() => createHash('sha256'));
    const devices = createHash('sha256');
    for (const { block, position, bytes, crc } of manifest.pieces) {
      add(block === NO_BLOCK ? devices : (blocks[block] ?? devices), [position, bytes, crc]);
    }
    manifest.blocks.forEach(({ name }, index) => {
      digests.push({ kind: 'ram-block', name, digest: blocks[index]?.digest('hex') ?? '' });
    });
    digests.push({ kind: 'device-state', name: node, digest: devices.digest('hex') });
  }
  const disk = createHash('sha256');
  const { granuleBytes, diskBytes, runs } = manifest.disk;
  for (const { firstGranule, crcs } of runs) {
    crcs.forEach((crc, index) => {
      const offset = (firstGranule + index) * granuleBytes;
      add(disk, [offset, Math.min(granuleBytes, diskBytes - offset), crc]);
    });
  }
  digests.push({ kind: 'disk', name: node, digest: disk.digest('hex') });
  return digests;
}

function add(hash: Hash, [offset, bytes, crc]: readonly [number, number, number]): void {
  const entry = Buffer.allocUnsafe(16);
  entry.writeBigUInt64BE(BigInt(offset), 0);
  entry.writeUInt32BE(bytes, 8);
  entry.writeUInt32BE(crc, 12);
  hash.update(entry);
}
