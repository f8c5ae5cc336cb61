import { BlockError } from '../image.ts';

/*
 * Header extensions follow the header: u32 type, u32 length, data padded to 8 bytes; type 0 ends the list. They are
 * never rewritten, so unknown extensions are preserved.
 */
const END = 0;
const BACKING_FORMAT = 0xe279_2aca;
const FEATURE_NAMES = 0x6803_f857;
const FEATURE_NAME_BYTES = 48;
const BITMAPS = 0x2385_2875;
const BITMAPS_BYTES = 24;
const LUKS = 0x0537_be77;
/** QEMU refuses longer names of a format. */
const BACKING_FORMAT_BYTES_MAX = 15;

export type Extensions = {
  readonly backingFormat: string | null;
  /** By `kind:bit`; kind 0 is incompatible, 1 compatible, 2 autoclear. */
  readonly featureNames: ReadonlyMap<string, string>;
};

/**
 * Decodes the extensions. The list ends at an end mark, at the backing file name, or at the end of the first cluster.
 * An extension that QEMU refuses is refused.
 * @param cluster the first cluster.
 * @throws BlockError if an extension reaches beyond that end, or has a length that its type cannot have.
 */
export function decodeExtensions(cluster: Buffer, from: number, path: string): Extensions {
  let backingFormat: string | null = null;
  let featureNames: ReadonlyMap<string, string> = new Map();
  const backingName = Number(cluster.readBigUInt64BE(8));
  const end = backingName > 0 ? Math.min(cluster.length, backingName) : cluster.length;
  for (let at = from; at < end; ) {
    if (at + 8 > end) {
      const fault = `at ${at} begins less than 8 bytes before the end of the header at ${end}`;
      throw new BlockError('image_corrupt', `${path}: the header extension ${fault}.`);
    }
    const type = cluster.readUInt32BE(at);
    const bytes = cluster.readUInt32BE(at + 4);
    const fault = extensionFault(type, bytes, end - at - 8);
    if (fault !== null) {
      const name = `header extension 0x${type.toString(16)} at ${at}`;
      throw new BlockError('image_corrupt', `${path}: ${name} has ${bytes} bytes; ${fault}.`);
    }
    const data = cluster.subarray(at + 8, at + 8 + bytes);
    if (type === END) break;
    if (type === BACKING_FORMAT) backingFormat = data.toString('utf8');
    if (type === FEATURE_NAMES) featureNames = decodeFeatureNames(data);
    at += 8 + Math.ceil(bytes / 8) * 8;
  }
  return { backingFormat, featureNames };
}

function extensionFault(type: number, bytes: number, room: number): string | null {
  if (bytes > room) return `${room} bytes are left before the end of the header`;
  if (type === BACKING_FORMAT && bytes > BACKING_FORMAT_BYTES_MAX) {
    return `the name of a format has at most ${BACKING_FORMAT_BYTES_MAX}`;
  }
  if (type === BITMAPS && bytes !== BITMAPS_BYTES) return `a bitmaps extension has ${BITMAPS_BYTES}`;
  return type === LUKS ? 'only an encrypted image has this extension' : null;
}

function decodeFeatureNames(data: Buffer): Map<string, string> {
  const names = new Map<string, string>();
  for (let at = 0; at + FEATURE_NAME_BYTES <= data.length; at += FEATURE_NAME_BYTES) {
    const name = data.toString('latin1', at + 2, at + FEATURE_NAME_BYTES).replace(/\0.*$/s, '');
    names.set(`${data[at]}:${data[at + 1]}`, name.replace(/[^ -~]/g, '?'));
  }
  return names;
}

/** Names of all features of the format: an older program shows them when it refuses an image. */
const NAMES: readonly (readonly [kind: number, bit: number, name: string])[] = [
  [0, 0, 'dirty bit'],
  [0, 1, 'corrupt bit'],
  [0, 2, 'external data file'],
  [0, 3, 'compression type'],
  [0, 4, 'extended L2 entries'],
  [1, 0, 'lazy refcounts'],
  [2, 0, 'bitmaps'],
  [2, 1, 'raw external data'],
];

/** The feature names and the end mark: the extensions of a new image. */
export function encodeExtensions(): Buffer {
  const bytes = Buffer.alloc(8 + NAMES.length * FEATURE_NAME_BYTES + 8);
  bytes.writeUInt32BE(FEATURE_NAMES, 0);
  bytes.writeUInt32BE(NAMES.length * FEATURE_NAME_BYTES, 4);
  NAMES.forEach(([kind, bit, name], index) => {
    const at = 8 + index * FEATURE_NAME_BYTES;
    bytes[at] = kind;
    bytes[at + 1] = bit;
    bytes.write(name, at + 2, 'latin1');
  });
  return bytes;
}
