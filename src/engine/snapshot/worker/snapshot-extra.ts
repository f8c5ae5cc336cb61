import type { SnapshotAbout } from '../../../domain/ports/block-nodes.ts';
import { ByteWriter } from '../../stream/bytes.ts';

/*
 * Extra data of a snapshot's entry in the snapshot table, behind QEMU's 24 bytes. First the place of the manifest,
 * big-endian:
 *
 *   8 bytes magic "FERRYSUM", u32 version 1, u32 0, u64 position in the VM state area, u64 bytes reserved there
 *
 * Separate from manifest.ts, so that an idle thread need not load that module.
 */

/** Place of a manifest, in bytes of the VM state area. */
export type ManifestPlace = { readonly position: number; readonly reservedBytes: number };

const PLACE_MAGIC = Buffer.from('FERRYSUM');
const PLACE_VERSION = 1;
/** Length of the place. Facts about the snapshot may follow. */
export const PLACE_BYTES = 32;
const POSITION_MAX = 2n ** 52n;

export function encodePlace({ position, reservedBytes }: ManifestPlace): Uint8Array {
  return new ByteWriter().bytes(PLACE_MAGIC).u32(PLACE_VERSION).u32(0).u64(position).u64(reservedBytes).finish();
}

/**
 * Decodes the place of the digests. Null: the data is not vmferry's. `damaged`: either the magic or the other fields are
 * invalid. Both are checked, so that damage to one does not hide that there are digests.
 */
export function decodePlace(extra: Uint8Array): ManifestPlace | 'damaged' | null {
  const bytes = Buffer.from(extra.buffer, extra.byteOffset, extra.length);
  if (bytes.length < PLACE_BYTES) return null;
  const hasMagic = bytes.subarray(0, 8).equals(PLACE_MAGIC);
  const hasVersion = bytes.readUInt32BE(8) === PLACE_VERSION && bytes.readUInt32BE(12) === 0;
  const position = bytes.readBigUInt64BE(16);
  const reserved = bytes.readBigUInt64BE(24);
  const isInRange = position <= POSITION_MAX && reserved <= POSITION_MAX;
  if (hasMagic && hasVersion && isInRange) return { position: Number(position), reservedBytes: Number(reserved) };
  const isOurs = bytes.length === PLACE_BYTES || isAbout(bytes.subarray(PLACE_BYTES));
  return hasMagic || (hasVersion && isInRange && isOurs) ? 'damaged' : null;
}

/*
 * Facts about a snapshot: extra data behind the place of the manifest, big-endian:
 *
 *   8 bytes magic "FERRYABT", u32 version 1, u32 vCPUs, u64 bytes of RAM, u64 milliseconds since 1970 at which it expires
 *   (0: never), u16 bytes of the description, description in UTF-8
 */

const ABOUT_MAGIC = Buffer.from('FERRYABT');
const ABOUT_VERSION = 1;
const ABOUT_FIXED_BYTES = 34;
const NUMBER_MAX = 2n ** 53n - 1n;

/** @throws RangeError if the description has more than 65535 bytes. */
export function encodeAbout({ description, expiresAtMs, ramBytes, vcpus }: SnapshotAbout): Uint8Array {
  const text = Buffer.from(description ?? '');
  const writer = new ByteWriter()
    .bytes(ABOUT_MAGIC)
    .u32(ABOUT_VERSION)
    .u32(vcpus)
    .u64(ramBytes)
    .u64(expiresAtMs ?? 0);
  return writer.u16(text.length).bytes(text).finish();
}

/** Decodes the facts at `from` of the extra data behind QEMU's 24 bytes; null if there are none or they are damaged. */
export function decodeAbout(extra: Uint8Array, from: number): SnapshotAbout | null {
  const bytes = Buffer.from(extra.buffer, extra.byteOffset, extra.length).subarray(from);
  if (!isAbout(bytes) || bytes.length < ABOUT_FIXED_BYTES) return null;
  const [ramBytes, expiresAt] = [bytes.readBigUInt64BE(16), bytes.readBigUInt64BE(24)];
  const length = bytes.readUInt16BE(32);
  if (bytes.readUInt32BE(8) !== ABOUT_VERSION || ramBytes > NUMBER_MAX || expiresAt > NUMBER_MAX) return null;
  if (bytes.length !== ABOUT_FIXED_BYTES + length) return null;
  return {
    description: length === 0 ? null : bytes.toString('utf8', ABOUT_FIXED_BYTES),
    expiresAtMs: expiresAt === 0n ? null : Number(expiresAt),
    ramBytes: Number(ramBytes),
    vcpus: bytes.readUInt32BE(12),
  };
}

export function isAbout(bytes: Uint8Array): boolean {
  return ABOUT_MAGIC.equals(bytes.subarray(0, ABOUT_MAGIC.length));
}
