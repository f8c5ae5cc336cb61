import type { BlockFile } from '../file.ts';
import { BlockError } from '../image.ts';
import { compressedAt, isEmpty, kindAt, l2Fault, offsetAt } from './entries.ts';
import type { Geometry } from './geometry.ts';
import type { Header } from './header.ts';

/*
 * What may be said about a table without knowing the others. Every L2 table passes here each time that it is read, so that
 * nothing behind this point meets an offset outside the file.
 */

export type TableSource = { readonly file: BlockFile; readonly header: Header };

/** @throws BlockError `image_truncated`, `image_corrupt` */
export async function readTable(source: TableSource, offset: number): Promise<Buffer> {
  const { clusterBytes } = source.header.geometry;
  assertInside(source.file, { name: 'L2 table', offset, bytes: clusterBytes });
  const table = Buffer.allocUnsafeSlow(clusterBytes);
  await source.file.read(offset, table);
  checkTable(source, table, offset);
  return table;
}

/** @throws BlockError if the file ends before the structure does. */
export function assertInside(file: BlockFile, part: FilePart): void {
  const fault = insideFault(file, part);
  if (fault !== null) throw fault;
}

/** A structure in the file, for messages; bytes. */
export type FilePart = { readonly name: string; readonly offset: number; readonly bytes: number };

/** The error of a structure that the file ends before, or null. */
export function insideFault(file: BlockFile, part: FilePart): BlockError | null {
  if (part.offset + part.bytes <= file.bytes) return null;
  const message = `${file.path}: the ${part.name} at ${part.offset} has ${part.bytes} bytes, but the file ends at ${file.bytes}.`;
  return new BlockError('image_truncated', message);
}

function checkTable(source: TableSource, table: Buffer, at: number): void {
  const { file, header } = source;
  const { geometry, version } = header;
  for (let index = 0; index < geometry.tableEntries; index += 1) {
    const kind = kindAt(table, index);
    if (kind === 'unallocated' && isEmpty(table, index)) continue;
    if (kind === 'compressed') {
      const { offset } = compressedAt(table, index, geometry);
      if (offset >= file.bytes) throw outside(file, { at, index, offset });
      continue;
    }
    const offset = offsetAt(table, index);
    const fault = l2Fault(table, index, version) ?? alignmentFault(offset, geometry);
    if (fault !== null) throw entryError(file, { name: 'L2 table', at, index, fault });
    // The last cluster of a file need not be written to its end.
    if (offset >= file.bytes) throw outside(file, { at, index, offset });
  }
}

export function alignmentFault(offset: number, geometry: Geometry): string | null {
  return offset % geometry.clusterBytes === 0 ? null : `points to ${offset}, which is not on a cluster`;
}

export function entryError(
  file: BlockFile,
  entry: { name: string; at: number; index: number; fault: string },
): BlockError {
  const where = `entry ${entry.index} of the ${entry.name} at ${entry.at}`;
  return new BlockError('image_corrupt', `${file.path}: ${where} ${entry.fault}.`);
}

function outside(file: BlockFile, entry: { at: number; index: number; offset: number }): BlockError {
  const where = `entry ${entry.index} of the L2 table at ${entry.at} points to ${entry.offset}`;
  return new BlockError('image_truncated', `${file.path}: ${where}, but the file ends at ${file.bytes}.`);
}
