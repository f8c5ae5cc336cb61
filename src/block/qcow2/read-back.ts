import { BlockError } from '../image.ts';
import { offsetAt } from './entries.ts';
import { ENTRY_BYTES } from './geometry.ts';
import { readSnapshotTable } from './load.ts';
import { readSnapshotL1 } from './snapshot-reader.ts';
import type { SnapshotEntry } from './snapshot-table.ts';
import { assertInside, readTable } from './table-checks.ts';
import type { Volume } from './volume.ts';

/*
 * Whether the file is still the image that is open. Nothing keeps another program from overwriting or cutting a file
 * that is open here: what is in memory goes on to be right, while the next start would find no image. The caller has the
 * image alone, so that nothing of this is being written meanwhile.
 */

/** @throws BlockError if the file was removed, replaced or cut, or its header is not the one that was read or written. */
export async function assertSameFile({ file, headerBytes }: Volume): Promise<void> {
  await file.assertPresent();
  const found = Buffer.alloc(headerBytes.length);
  await file.read(0, found);
  if (found.equals(headerBytes)) return;
  const at = found.findIndex((byte, index) => byte !== headerBytes[index]);
  throw overwritten(file.path, `its header differs at ${at} from what was read or written there`);
}

/**
 * Reads every table that a start needs, and those of one snapshot, back from the file. Everything that waits in memory has
 * been committed.
 * @throws BlockError that names what is not as it was written.
 */
export async function readBack(volume: Volume, entry: SnapshotEntry | undefined): Promise<void> {
  const { file, header, pointers, l1 } = volume;
  await assertSameFile(volume);
  await compare(volume, 'active L1 table', { offset: pointers.l1.offset, bytes: l1 });
  if (volume.refcounts !== null) {
    const table = { name: 'refcount table', offset: pointers.refcountTable.offset };
    const bytes = Buffer.alloc(pointers.refcountTable.entries * ENTRY_BYTES);
    assertInside(file, { ...table, bytes: bytes.length });
    await file.read(table.offset, bytes);
    if (!volume.refcounts.isTable(bytes)) throw overwritten(file.path, `its ${table.name} at ${table.offset} differs`);
  }
  const { snapshots, fault } = await readSnapshotTable(file, { ...header, pointers });
  if (fault !== null && volume.snapshotFault === null) throw fault;
  const differs = snapshots.some((found, index) => !isSame(found, volume.snapshots[index]));
  if (differs || snapshots.length !== volume.snapshots.length) {
    throw overwritten(file.path, `its snapshot table at ${pointers.snapshotTable.offset} differs`);
  }
  for (const table of entry === undefined ? [l1] : [l1, await readSnapshotL1(volume, entry)])
    await readTables(volume, table);
}

async function readTables(volume: Volume, l1: Buffer): Promise<void> {
  for (let index = 0; index < l1.length / ENTRY_BYTES; index += 1) {
    const offset = offsetAt(l1, index);
    if (offset !== 0) await readTable(volume, offset);
  }
}

async function compare(
  { file }: Volume,
  name: string,
  { offset, bytes }: { offset: number; bytes: Buffer },
): Promise<void> {
  const found = Buffer.alloc(bytes.length);
  await file.read(offset, found);
  if (!found.equals(bytes))
    throw overwritten(file.path, `its ${name} at ${offset} differs from what was written there`);
}

function isSame(found: SnapshotEntry, known: SnapshotEntry | undefined): boolean {
  if (known === undefined) return false;
  return found.id === known.id && found.name === known.name && found.l1.offset === known.l1.offset;
}

function overwritten(path: string, what: string): BlockError {
  return new BlockError(
    'image_gone',
    `${path}: another program has written to the image file while it was open: ${what}.`,
  );
}
