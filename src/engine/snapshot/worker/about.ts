import type { SnapshotAbout } from '../../../domain/ports/block-nodes.ts';
import { ByteWriter } from '../../stream/byte-writer.ts';

/*
 * What is told about a snapshot: extra data of its entry, behind where the digests lie (manifest-place.ts). Big-endian:
 *
 *   8 bytes magic "FERRYABT", u32 version 1, u32 vCPUs, u64 bytes of RAM, u64 milliseconds since 1970 at which it expires
 *   (0: never), u16 bytes of the description, description in UTF-8
 */

const MAGIC = Buffer.from('FERRYABT');
const VERSION = 1;
const FIXED_BYTES = 34;
const NUMBER_MAX = 2n ** 53n - 1n;

/** @throws RangeError if the description is longer than its length can say. */
export function encodeAbout({ description, expiresAtMs, ramBytes, vcpus }: SnapshotAbout): Uint8Array {
  const text = Buffer.from(description ?? '');
  const writer = new ByteWriter()
    .bytes(MAGIC)
    .u32(VERSION)
    .u32(vcpus)
    .u64(ramBytes)
    .u64(expiresAtMs ?? 0);
  return writer.u16(text.length).bytes(text).finish();
}

/** What the extra data behind QEMU's 24 bytes tells; null if it has nothing of this, or it is damaged. */
export function decodeAbout(extra: Uint8Array, from: number): SnapshotAbout | null {
  const bytes = Buffer.from(extra.buffer, extra.byteOffset, extra.length).subarray(from);
  if (!isAbout(bytes) || bytes.length < FIXED_BYTES) return null;
  const [ramBytes, expiresAt] = [bytes.readBigUInt64BE(16), bytes.readBigUInt64BE(24)];
  const length = bytes.readUInt16BE(32);
  if (bytes.readUInt32BE(8) !== VERSION || ramBytes > NUMBER_MAX || expiresAt > NUMBER_MAX) return null;
  if (bytes.length !== FIXED_BYTES + length) return null;
  return {
    description: length === 0 ? null : bytes.toString('utf8', FIXED_BYTES),
    expiresAtMs: expiresAt === 0n ? null : Number(expiresAt),
    ramBytes: Number(ramBytes),
    vcpus: bytes.readUInt32BE(12),
  };
}

export function isAbout(bytes: Uint8Array): boolean {
  return MAGIC.equals(bytes.subarray(0, MAGIC.length));
}
