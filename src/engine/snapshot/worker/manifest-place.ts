import { ByteWriter } from '../../stream/byte-writer.ts';
import { isAbout } from './about.ts';

/*
 * Where the manifest of a snapshot lies: extra data of the snapshot's entry, behind QEMU's 24 bytes. Big-endian:
 *
 *   8 bytes magic "FERRYSUM", u32 version 1, u32 0, u64 position in the VM state area, u64 bytes reserved there
 *
 * Apart from the manifest, whose means an idle thread need not load.
 */

/** In bytes of the VM state area. */
export type ManifestPlace = { readonly position: number; readonly reservedBytes: number };

const MAGIC = Buffer.from('FERRYSUM');
const VERSION = 1;
/** What is told about the snapshot (about.ts) may follow. */
export const PLACE_BYTES = 32;
const POSITION_MAX = 2n ** 52n;

export function encodePlace({ position, reservedBytes }: ManifestPlace): Uint8Array {
  return new ByteWriter().bytes(MAGIC).u32(VERSION).u32(0).u64(position).u64(reservedBytes).finish();
}

/**
 * Where the digests of a snapshot with this extra data lie; null if it has none of ours. It is ours, and `damaged`, where
 * only the magic or only what follows it is right: damage in one place must not make a snapshot one without digests.
 * What another program put there has neither.
 */
export function decodePlace(extra: Uint8Array): ManifestPlace | 'damaged' | null {
  const bytes = Buffer.from(extra.buffer, extra.byteOffset, extra.length);
  if (bytes.length < PLACE_BYTES) return null;
  const hasMagic = bytes.subarray(0, 8).equals(MAGIC);
  const hasVersion = bytes.readUInt32BE(8) === VERSION && bytes.readUInt32BE(12) === 0;
  const position = bytes.readBigUInt64BE(16);
  const reserved = bytes.readBigUInt64BE(24);
  const isInRange = position <= POSITION_MAX && reserved <= POSITION_MAX;
  if (hasMagic && hasVersion && isInRange) return { position: Number(position), reservedBytes: Number(reserved) };
  const isOurs = bytes.length === PLACE_BYTES || isAbout(bytes.subarray(PLACE_BYTES));
  return hasMagic || (hasVersion && isInRange && isOurs) ? 'damaged' : null;
}
