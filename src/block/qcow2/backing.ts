import { dirname, isAbsolute, join } from 'node:path';
import { openBlockFile, type SystemFile } from '../file.ts';
import { BlockError } from '../image.ts';
import { type Header, MAGIC } from './header.ts';
import type { BackingSource } from './volume.ts';

/** Files in a chain of images, each the backing file of the one before. */
const CHAIN_MAX = 32;
const FORMATS = ['qcow2', 'raw'];

/** The files of a chain that are open already, by identity. */
export type Chain = readonly string[];

/**
 * Opens what lies behind an image: read-only and without locks.
 * @throws BlockError
 */
export async function openBacking(
  header: Header,
  of: { path: string; chain: Chain },
  openQcow2: (file: SystemFile, chain: Chain) => Promise<BackingSource>,
): Promise<BackingSource | null> {
  if (header.backingName === null) return null;
  const path = backingPath(header.backingName, of.path);
  if (of.chain.length > CHAIN_MAX) {
    const message = `${of.path}: the chain of backing files is longer than ${CHAIN_MAX}.`;
    throw new BlockError('image_unsupported', message);
  }
  const file = await openBlockFile(path, { readOnly: true }).catch((error: BlockError) => {
    throw new BlockError(error.code, `${of.path}: its backing file cannot be opened: ${error.message}`, {
      cause: error,
    });
  });
  try {
    const { identity } = file;
    if (of.chain.includes(identity)) {
      throw new BlockError(
        'image_corrupt',
        `${of.path}: its backing file ${path} is in its own chain of backing files.`,
      );
    }
    const format = await formatOf(header, file);
    if (format === 'qcow2') return await openQcow2(file, [...of.chain, identity]);
    return { read: (offset, into) => file.read(offset, into), close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** As in QEMU, what stands before a colon that no slash precedes is a protocol; behind `file:` a name is not looked into. */
const WITH_PROTOCOL = /^[^:/]*:/;
const FILE_PROTOCOL = 'file:';

function backingPath(name: string, imagePath: string): string {
  const isFile = name.startsWith(FILE_PROTOCOL);
  const plain = isFile ? name.slice(FILE_PROTOCOL.length) : name;
  if (plain === '' || plain.includes('\0') || (!isFile && WITH_PROTOCOL.test(plain))) {
    const advice = 'A name with a colon before its first slash needs "file:" or "./" in front.';
    const message = `${imagePath}: the backing file "${name.slice(0, 100)}" is not a plain file name. ${advice}`;
    throw new BlockError('image_unsupported', message);
  }
  return isAbsolute(plain) ? plain : join(dirname(imagePath), plain);
}

async function formatOf(header: Header, file: SystemFile): Promise<string> {
  const format = header.extensions.backingFormat;
  if (format === null) {
    const magic = Buffer.alloc(4);
    await file.read(0, magic);
    return magic.readUInt32BE(0) === MAGIC ? 'qcow2' : 'raw';
  }
  if (FORMATS.includes(format)) return format;
  const message = `${file.path}: backing files of format "${format.slice(0, 100)}" are not supported.`;
  throw new BlockError('image_unsupported', message);
}
