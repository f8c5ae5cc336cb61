import { crc32 } from 'node:zlib';
import { PAGE_BYTES } from '../../memory/layout.ts';
import type { LoadedMachine } from '../../memory/machine-state.ts';
import { PopulateAhead } from '../../memory/memory-advice.ts';
import { StreamError } from '../../stream/bytes.ts';
import { type ExpectedMachine, TargetStream } from '../../stream/target-stream.ts';
import { SnapshotFailure, type TaskControl } from '../task-control.ts';
import { allocatedGranules, type DiskDigests, granuleBytesOf, readGranules } from './disk-digests.ts';
import type { Manifest } from './manifest.ts';
import { type DamageList, fileOffsetOf, type StoredSnapshot } from './stored-snapshot.ts';
import { NO_BLOCK, PIECE_BYTES_MAX, type Piece } from './stream-pieces.ts';
import { type Chunk, InputWindow, plainSlots, type ReadSlots, readAhead } from './stream-window.ts';

/** A part of the stream without damage. */
export type CheckedChunk = Omit<Chunk, 'error'>;

/** A piece and the next one, which shows where the RAM of the piece ends. */
type Place = { readonly piece: Piece; readonly next: Piece | null };

/**
 * Reads the VM state of a snapshot in chunks and checks each against the digests, if there are any. A damaged chunk is
 * reported to `damage` and not yielded.
 */
export async function* checkedStream(
  stored: StoredSnapshot,
  report: { readonly damage: DamageList; readonly control: TaskControl },
  slots: ReadSlots = plainSlots(),
): AsyncGenerator<CheckedChunk> {
  const { damage, control } = report;
  const { reader, manifest } = stored;
  const { vmStateBytes } = reader.snapshot;
  control.addTotal(vmStateBytes);
  const places = placesOf(manifest, vmStateBytes);
  let place = places.next();
  for await (const chunk of readAhead(reader, { streamBytes: vmStateBytes, slots }, control)) {
    const { position, bytes, error } = chunk;
    let isGood = true;
    for (; !place.done && place.value.piece.position < position + bytes.length; place = places.next()) {
      const { piece } = place.value;
      const from = piece.position - position;
      const part = bytes.subarray(from, from + piece.bytes);
      const what = await faultOf(stored, { piece, part, isRead: error === null });
      if (what === null) continue;
      isGood = false;
      damage.add(await pieceReport(stored, place.value), what);
    }
    if (isGood) yield chunk;
  }
}

async function faultOf(
  { reader, manifest }: StoredSnapshot,
  read: { readonly piece: Piece; readonly part: Uint8Array; readonly isRead: boolean },
): Promise<string | null> {
  const { piece, part } = read;
  if (!read.isRead) {
    // After a failed read each piece is read separately, to find the ones that cannot be read.
    try {
      await reader.readVmState(piece.position, part);
    } catch (error) {
      return `it cannot be read, ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  if (manifest === null || crc32(part) === piece.crc) return null;
  return 'what was stored is not what is there';
}

/** The pieces of the manifest; without a manifest pieces of the same length without a CRC. */
function* placesOf(manifest: Manifest | null, streamBytes: number): Generator<Place> {
  let piece: Piece | null = null;
  for (const next of manifest?.pieces ?? unknownPieces(streamBytes)) {
    if (piece !== null) yield { piece, next };
    piece = next;
  }
  if (piece !== null) yield { piece, next: null };
}

function* unknownPieces(streamBytes: number): Generator<Piece> {
  for (let position = 0; position < streamBytes; position += PIECE_BYTES_MAX) {
    const bytes = Math.min(PIECE_BYTES_MAX, streamBytes - position);
    yield { position, bytes, crc: 0, block: NO_BLOCK, offset: 0 };
  }
}

async function pieceReport({ node, reader, manifest }: StoredSnapshot, { piece, next }: Place) {
  const fileOffset = await fileOffsetOf(reader.fileOffsetOfVmState(piece.position));
  const block = manifest?.blocks[piece.block];
  if (piece.block === NO_BLOCK || block === undefined) {
    const { position: offset, bytes } = piece;
    return { node, ramBlock: null, area: 'vm-state', offset, bytes, fileOffset } as const;
  }
  // The page whose record crosses into the next piece belongs to both pieces.
  const end = next?.block === piece.block ? Math.min(next.offset + PAGE_BYTES, block.bytes) : block.bytes;
  const bytes = Math.max(end - piece.offset, PAGE_BYTES);
  return { node, ramBlock: block.name, area: 'ram', offset: piece.offset, bytes, fileOffset } as const;
}

/** Source and expectations of a stream, and the receivers of damage and progress. */
export type Reading = {
  readonly stored: StoredSnapshot;
  readonly expected: ExpectedMachine;
  readonly damage: DamageList;
  readonly control: TaskControl;
};

/**
 * Decodes the VM state of a snapshot into memory of its own. The machine is not changed.
 * @returns the machine; null if the stream is damaged; the damage is reported then.
 * @throws SnapshotFailure with the code of the stream's error if the undamaged stream does not match `expected`.
 */
export async function readMachine(reading: Reading): Promise<LoadedMachine | null> {
  const { stored, expected, damage, control } = reading;
  const window = new InputWindow();
  const stream = new TargetStream(expected, () => {}, window);
  const populate = new PopulateAhead();
  let fed = 0;
  try {
    for await (const { read, position, bytes } of checkedStream(stored, { damage, control }, window)) {
      // The stream cannot be decoded behind a damaged part; the rest is only checked.
      if (position !== fed) continue;
      window.filled(read, bytes);
      stream.advance();
      populate.follow(stream.memory, stream.pages);
      fed += bytes.length;
    }
    if (fed !== stored.reader.snapshot.vmStateBytes) return null;
    stream.end();
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    await streamFault(reading, error);
  } finally {
    await populate.idle();
  }
  return stream.loaded;
}

/** With digests the stream is undamaged, so it does not match this machine. Without digests it may be damaged. */
async function streamFault({ stored, damage }: Reading, error: StreamError): Promise<void> {
  if (stored.manifest !== null || UNSUITABLE.has(error.code)) {
    throw new SnapshotFailure(error.code, `Node '${stored.node}': ${error.message}.`);
  }
  const { node, reader } = stored;
  const offset = error.position ?? 0;
  const fileOffset = await fileOffsetOf(reader.fileOffsetOfVmState(offset));
  damage.add({ node, ramBlock: null, area: 'vm-state', offset, bytes: 1, fileOffset }, error.message);
}

/** Codes of an undamaged stream of another machine. */
const UNSUITABLE: ReadonlySet<string> = new Set([
  'capability_differs',
  'command_not_available',
  'machine_differs',
  'page_size_differs',
  'ram_block_length',
  'ram_block_missing',
  'ram_block_unknown',
  'ram_too_large',
  'section_missing',
  'section_unknown',
  'section_version',
  'uuid_differs',
]);

/** Checks a snapshot's disk against its digests, if it has any. @returns the bytes checked. */
export async function checkDisk(stored: StoredSnapshot, damage: DamageList, control: TaskControl): Promise<number> {
  const { manifest, reader } = stored;
  if (manifest === null) return 0;
  const { runs, granuleBytes, diskBytes } = manifest.disk;
  const wanted = runs.map(({ firstGranule, crcs }) => ({ first: firstGranule, count: crcs.length }));
  const bytes = granuleBytesOf(wanted, granuleBytes, diskBytes);
  control.addTotal(bytes);
  const crcs = expectedCrcs(manifest.disk);
  for await (const reading of readGranules(reader, { runs: wanted, granuleBytes, diskBytes }, control)) {
    const expected = crcs.next().value;
    if (reading.crc === expected) continue;
    const what =
      reading.crc instanceof Error
        ? `it cannot be read, ${reading.crc.message}`
        : 'what was stored is not what is there';
    damage.add(await granuleReport(stored, reading.granule, granuleBytes), what);
  }
  await findStrangers(stored, manifest.disk, damage);
  return bytes;
}

function* expectedCrcs({ runs }: DiskDigests): Generator<number> {
  for (const { crcs } of runs) yield* crcs;
}

/** Reports granules that are allocated now and were not when the snapshot was taken. */
async function findStrangers(stored: StoredSnapshot, disk: DiskDigests, damage: DamageList): Promise<void> {
  let index = 0;
  for (const { first, count } of await allocatedGranules(stored.reader, disk.granuleBytes)) {
    for (let granule = first; granule < first + count; granule += 1) {
      let run = disk.runs[index];
      while (run !== undefined && granule >= run.firstGranule + run.crcs.length) {
        index += 1;
        run = disk.runs[index];
      }
      if (run !== undefined && granule >= run.firstGranule) continue;
      damage.add(await granuleReport(stored, granule, disk.granuleBytes), 'there is content where none was stored');
    }
  }
}

async function granuleReport({ node, reader }: StoredSnapshot, granule: number, granuleBytes: number) {
  const offset = granule * granuleBytes;
  const bytes = Math.min(granuleBytes, reader.snapshot.diskBytes - offset);
  const fileOffset = await fileOffsetOf(reader.fileOffsetOfDisk(offset));
  return { node, ramBlock: null, area: 'disk', offset, bytes, fileOffset } as const;
}
