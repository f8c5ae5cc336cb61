import { crc32 } from 'node:zlib';
import type { SnapshotReader } from '../../../block/image.ts';
import type { TaskControl } from '../task-control.ts';
import { BrokenManifestError } from './stream-pieces.ts';

/** Smallest granule: the unit of a disk that has its own CRC. */
export const DISK_GRANULE_BYTES = 65536;
export const DISK_GRANULE_BYTES_MAX = 64 * 2 ** 20;
/** Bytes that are read from a disk at a time. */
const READ_BYTES = 2 ** 20;

/** Adjacent granules and their CRCs. */
export type DiskRun = { readonly firstGranule: number; readonly crcs: Uint32Array };

/** CRCs of the granules of a disk that are allocated; the last granule may be shorter. */
export type DiskDigests = {
  readonly diskBytes: number;
  /** A power of two times DISK_GRANULE_BYTES. */
  readonly granuleBytes: number;
  readonly runs: readonly DiskRun[];
};

const RUN_HEAD_BYTES = 12;
const HEAD_BYTES = 16;

/** A run of granules by number, before their CRCs are known. */
export type GranuleRun = { readonly first: number; count: number };

/** The granules of a snapshot's disk with allocated clusters, in order. */
export async function allocatedGranules(reader: SnapshotReader, granuleBytes: number): Promise<GranuleRun[]> {
  const runs: GranuleRun[] = [];
  for await (const { offset, bytes } of reader.allocatedDisk()) {
    const first = Math.floor(offset / granuleBytes);
    const end = Math.ceil((offset + bytes) / granuleBytes);
    const last = runs.at(-1);
    const lastEnd = last === undefined ? -1 : last.first + last.count;
    if (last !== undefined && first <= lastEnd) last.count = Math.max(last.count, end - last.first);
    else runs.push({ first, count: end - first });
  }
  return runs;
}

/** The same ranges with granules twice as large. */
export function doubled(runs: readonly GranuleRun[]): GranuleRun[] {
  const wider: GranuleRun[] = [];
  for (const { first, count } of runs) {
    const from = Math.floor(first / 2);
    const end = Math.ceil((first + count) / 2);
    const last = wider.at(-1);
    if (last !== undefined && from <= last.first + last.count) last.count = Math.max(last.count, end - last.first);
    else wider.push({ first: from, count: end - from });
  }
  return wider;
}

/** Length of the runs in a manifest. */
export function diskDigestBytes(runs: readonly GranuleRun[]): number {
  return HEAD_BYTES + runs.reduce((sum, { count }) => sum + RUN_HEAD_BYTES + 4 * count, 0);
}

/** Bytes in the granules of `runs` on a disk of `diskBytes`. */
export function granuleBytesOf(runs: readonly GranuleRun[], granuleBytes: number, diskBytes: number): number {
  return runs.reduce((sum, { first, count }) => {
    return sum + Math.min(diskBytes, (first + count) * granuleBytes) - first * granuleBytes;
  }, 0);
}

/** The CRC of one granule, or the error of reading it. */
export type GranuleReading = { readonly granule: number; readonly bytes: number; readonly crc: number | Error };

/** Reads the granules of `runs` and yields the CRC of each. Reports the bytes read as progress. */
export async function* readGranules(
  reader: SnapshotReader,
  plan: { readonly runs: readonly GranuleRun[]; readonly granuleBytes: number; readonly diskBytes: number },
  control: TaskControl,
): AsyncGenerator<GranuleReading> {
  const { granuleBytes, diskBytes } = plan;
  const buffer = new Uint8Array(Math.max(READ_BYTES, granuleBytes));
  const atOnce = Math.max(1, READ_BYTES / granuleBytes);
  for (const { first, count } of plan.runs) {
    for (let granule = first; granule < first + count; granule += atOnce) {
      await control.breathe();
      const granules = Math.min(atOnce, first + count - granule);
      const from = granule * granuleBytes;
      const bytes = buffer.subarray(0, Math.min(diskBytes, from + granules * granuleBytes) - from);
      const whole = await tried(reader.readDisk(from, bytes));
      for (let index = 0; index < granules; index += 1) {
        const part = bytes.subarray(index * granuleBytes, (index + 1) * granuleBytes);
        // After a failed read each granule is read separately, to find the ones that cannot be read.
        const error = whole === null ? null : await tried(reader.readDisk(from + index * granuleBytes, part));
        yield { granule: granule + index, bytes: part.length, crc: error ?? crc32(part) };
      }
      control.addCurrent(bytes.length);
    }
  }
}

async function tried(work: Promise<void>): Promise<Error | null> {
  try {
    await work;
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** u64 disk bytes, u32 granule bytes, u32 runs; each: u64 first granule, u32 granules, a u32 CRC for each. */
export function encodeDiskDigests({ diskBytes, granuleBytes, runs }: DiskDigests): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + runs.reduce((sum, { crcs }) => sum + RUN_HEAD_BYTES + 4 * crcs.length, 0));
  bytes.writeBigUInt64BE(BigInt(diskBytes), 0);
  bytes.writeUInt32BE(granuleBytes, 8);
  bytes.writeUInt32BE(runs.length, 12);
  let at = HEAD_BYTES;
  for (const { firstGranule, crcs } of runs) {
    bytes.writeBigUInt64BE(BigInt(firstGranule), at);
    bytes.writeUInt32BE(crcs.length, at + 8);
    at += RUN_HEAD_BYTES;
    for (const crc of crcs) at = bytes.writeUInt32BE(crc, at);
  }
  return bytes;
}

/** @throws BrokenManifestError if the bytes are not exactly one disk's digests. */
export function decodeDiskDigests(bytes: Buffer): DiskDigests {
  if (bytes.length < HEAD_BYTES) throw new BrokenManifestError('its disk part is cut off');
  const diskBytes = bytes.readBigUInt64BE(0);
  const granuleBytes = bytes.readUInt32BE(8);
  const count = bytes.readUInt32BE(12);
  const isPowerOfTwo = (granuleBytes & (granuleBytes - 1)) === 0;
  if (!isPowerOfTwo || granuleBytes < DISK_GRANULE_BYTES || granuleBytes > DISK_GRANULE_BYTES_MAX) {
    throw new BrokenManifestError(`its disk has granules of ${granuleBytes} bytes`);
  }
  if (diskBytes > BigInt(Number.MAX_SAFE_INTEGER)) throw new BrokenManifestError(`its disk has ${diskBytes} bytes`);
  const granulesMax = Math.ceil(Number(diskBytes) / granuleBytes);
  const runs: DiskRun[] = [];
  let at = HEAD_BYTES;
  let end = 0;
  for (let index = 0; index < count; index += 1) {
    const run = decodeRun(bytes, at, { from: end, to: granulesMax });
    runs.push(run);
    end = run.firstGranule + run.crcs.length;
    at += RUN_HEAD_BYTES + 4 * run.crcs.length;
  }
  if (at !== bytes.length) throw new BrokenManifestError('something follows its disk part');
  return { diskBytes: Number(diskBytes), granuleBytes, runs };
}

function decodeRun(bytes: Buffer, at: number, allowed: { readonly from: number; readonly to: number }): DiskRun {
  if (at + RUN_HEAD_BYTES > bytes.length) throw new BrokenManifestError('its disk part is cut off');
  const first = bytes.readBigUInt64BE(at);
  const count = bytes.readUInt32BE(at + 8);
  if (first < BigInt(allowed.from) || count === 0 || first + BigInt(count) > BigInt(allowed.to)) {
    throw new BrokenManifestError(`its disk part has ${count} granules at ${first}`);
  }
  const from = at + RUN_HEAD_BYTES;
  if (from + 4 * count > bytes.length) throw new BrokenManifestError('its disk part is cut off');
  const crcs = new Uint32Array(count);
  for (let index = 0; index < count; index += 1) crcs[index] = bytes.readUInt32BE(from + 4 * index);
  return { firstGranule: Number(first), crcs };
}
