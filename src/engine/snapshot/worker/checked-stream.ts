import { crc32 } from 'node:zlib';
import { PAGE_BYTES } from '../../memory/layout.ts';
import type { DamageList } from './damage-list.ts';
import type { Manifest } from './manifest.ts';
import { NO_BLOCK, PIECE_BYTES_MAX, type Piece } from './piece-table.ts';
import { type Chunk, plainSlots, type ReadSlots, readAhead } from './read-ahead.ts';
import { fileOffsetOf, type StoredSnapshot } from './stored-snapshot.ts';
import type { TaskControl } from './task-control.ts';

/** A stretch of the stream that is as it was stored. */
export type CheckedChunk = Omit<Chunk, 'error'>;

/** A piece that is looked at, and the one behind it, which tells how far it goes in RAM. */
type Place = { readonly piece: Piece; readonly next: Piece | null };

/**
 * The VM state of a snapshot, chunk by chunk, each checked against its digests where there are any. A chunk with damage
 * is told to `damage` and left out.
 */
export async function* checkedStream(
  stored: StoredSnapshot,
  told: { readonly damage: DamageList; readonly control: TaskControl },
  slots: ReadSlots = plainSlots(),
): AsyncGenerator<CheckedChunk> {
  const { damage, control } = told;
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
      damage.add(await reportOf(stored, place.value), what);
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
    // Where a long read failed, the piece at fault is found by reading each alone.
    try {
      await reader.readVmState(piece.position, part);
    } catch (error) {
      return `it cannot be read, ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  if (manifest === null || crc32(part) === piece.crc) return null;
  return 'what was stored is not what is there';
}

/** The pieces of the manifest, or, without one, stretches of the same length of which nothing is known. */
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

async function reportOf({ node, reader, manifest }: StoredSnapshot, { piece, next }: Place) {
  const fileOffset = await fileOffsetOf(reader.fileOffsetOfVmState(piece.position));
  const block = manifest?.blocks[piece.block];
  if (piece.block === NO_BLOCK || block === undefined) {
    const { position: offset, bytes } = piece;
    return { node, ramBlock: null, area: 'vm-state', offset, bytes, fileOffset } as const;
  }
  // The page whose record is in progress where the next piece begins belongs to both.
  const end = next?.block === piece.block ? Math.min(next.offset + PAGE_BYTES, block.bytes) : block.bytes;
  const bytes = Math.max(end - piece.offset, PAGE_BYTES);
  return { node, ramBlock: block.name, area: 'ram', offset: piece.offset, bytes, fileOffset } as const;
}
