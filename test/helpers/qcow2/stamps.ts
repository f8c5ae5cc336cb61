// Sectors that identify their write and their position. Stamp 0 is the initial content of the disk, stamp 1 is zeros.

export const SECTOR_BYTES = 512;
export const STAMP_FIRST = 0;
export const STAMP_ZERO = 1;
const STAMP_LOWEST = 2;

/** The bytes of a write with this stamp. */
export function stamped(stamp: number, firstSector: number, sectors: number): Buffer {
  const bytes = Buffer.alloc(sectors * SECTOR_BYTES);
  for (let index = 0; index < sectors; index += 1) fillSector(bytes, { index, stamp, sector: firstSector + index });
  return bytes;
}

function fillSector(bytes: Buffer, of: { index: number; stamp: number; sector: number }): void {
  const start = of.index * SECTOR_BYTES;
  bytes.writeUInt32LE(of.stamp, start);
  bytes.writeUInt32LE(of.sector, start + 4);
  bytes.copyWithin(start + 8, start, start + 8);
  for (let filled = 16; filled < SECTOR_BYTES; filled *= 2) bytes.copyWithin(start + filled, start, start + filled);
}

/** Reads stamps of a disk that held `first` in the beginning; null for a sector that no write made as a whole. */
export function stampReader(first: Buffer): (sector: number, bytes: Buffer) => number | null {
  const zeros = Buffer.alloc(SECTOR_BYTES);
  return (sector, bytes) => {
    const stamp = bytes.readUInt32LE(0);
    const at = sector * SECTOR_BYTES;
    const isStamped = stamp >= STAMP_LOWEST && bytes.readUInt32LE(4) === sector;
    if (isStamped && bytes.subarray(8).equals(bytes.subarray(0, SECTOR_BYTES - 8))) return stamp;
    // What was zero at first cannot be told from what was discarded.
    if (bytes.equals(zeros)) return first.subarray(at, at + SECTOR_BYTES).equals(zeros) ? STAMP_FIRST : STAMP_ZERO;
    return bytes.equals(first.subarray(at, at + SECTOR_BYTES)) ? STAMP_FIRST : null;
  };
}

/** The stamp that zeros have in this sector. */
export function zeroStamp(first: Buffer, sector: number): number {
  const at = sector * SECTOR_BYTES;
  return first.subarray(at, at + SECTOR_BYTES).every((byte) => byte === 0) ? STAMP_FIRST : STAMP_ZERO;
}
