import { promisify } from 'node:util';
import { createZstdDecompress, inflateRaw } from 'node:zlib';
import { BlockError } from '../image.ts';
import type { Volume } from './volume.ts';

const inflate = promisify(inflateRaw);

type Place = { readonly offset: number; readonly bytes: number };
type Kept = Place & { readonly content: Promise<Buffer> };

/** The cluster that was unpacked last: small reads one behind the other unpack it once. */
const kept = new WeakMap<Volume, Kept>();

/** Reads out of a compressed cluster, from byte `from` of its content on. @throws BlockError `image_corrupt` */
export async function readCompressed(
  volume: Volume,
  place: Place & { readonly from: number },
  into: Uint8Array,
): Promise<void> {
  let last = kept.get(volume);
  if (last === undefined || last.offset !== place.offset || last.bytes !== place.bytes) {
    last = { offset: place.offset, bytes: place.bytes, content: unpack(volume, place) };
    kept.set(volume, last);
    last.content.catch(() => kept.delete(volume));
  }
  const content = await last.content;
  into.set(content.subarray(place.from, place.from + into.length));
}

/** Forgets what was unpacked: its clusters were freed and may hold something else soon. */
export function forgetCompressed(volume: Volume): void {
  kept.delete(volume);
}

async function unpack(volume: Volume, { offset, bytes }: Place): Promise<Buffer> {
  const { clusterBytes } = volume.geometry;
  const packed = Buffer.alloc(bytes);
  await volume.file.read(offset, packed);
  const fault = (cause: unknown) => {
    const message = `${volume.file.path}: the compressed cluster at ${offset} cannot be unpacked to ${clusterBytes} bytes.`;
    return new BlockError('image_corrupt', message, { cause });
  };
  // Its length is known in sectors only: behind the end of the packed data anything may follow.
  const unpacking =
    volume.header.compression === 'zstd'
      ? unpackZstd(packed, clusterBytes)
      : inflate(packed, { maxOutputLength: clusterBytes });
  const content = await unpacking.catch((error: unknown) => {
    throw fault(error);
  });
  if (content.length !== clusterBytes) throw fault(null);
  return content;
}

function unpackZstd(packed: Buffer, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = createZstdDecompress();
    const parts: Buffer[] = [];
    let bytes = 0;
    const end = () => {
      stream.destroy();
      resolve(Buffer.concat(parts).subarray(0, bytesMax));
    };
    stream.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes >= bytesMax) end();
    });
    stream.on('end', end);
    stream.on('error', reject);
    stream.end(packed);
  });
}
