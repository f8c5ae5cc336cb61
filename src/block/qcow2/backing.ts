import { dirname, isAbsolute, join } from 'node:path';
import { openBlockFile, type SystemFile } from '../file.ts';
import { BlockError } from '../image.ts';
import type { ImageUse } from '../lock.ts';
import { type Header, MAGIC } from './header.ts';
import type { BackingSource } from './volume.ts';

/** Files in a chain of images, each the backing file of the one before. */
const CHAIN_MAX = 32;
const FORMATS = ['qcow2', 'raw'];

/** The files of a chain that are open already, by identity, and what the next one is opened for. */
export type Chain = { readonly files: readonly string[]; readonly use: ImageUse };

/**
 * Opens the file behind an image to be read, with the locks of the chain's use.
 * @throws BlockError
 */
export async function openBacking(
  header: Header,
  of: { path: string; chain: Chain },
  openQcow2: (file: SystemFile, chain: Chain) => Promise<BackingSource>,
): Promise<BackingSource | null> {
  if (header.backingName === null) return null;
  const path = backingPath(header.backingName, of.path);
  if (of.chain.files.length > CHAIN_MAX) {
    const message = `${of.path}: the chain of backing files is longer than ${CHAIN_MAX}.`;
    throw new BlockError('image_unsupported', message);
  }
  const file = await openBlockFile(path, { readOnly: true, use: 'none' }).catch((error: unknown) => {
    throw backingError(error, of.path);
  });
  try {
    const { identity } = file;
    if (of.chain.files.includes(identity)) {
      throw new BlockError(
        'image_corrupt',
        `${of.path}: its backing file ${path} is in its own chain of backing files.`,
      );
    }
    changeUse(file, of);
    const format = await formatOf(header, file);
    if (format === 'qcow2') return await openQcow2(file, { ...of.chain, files: [...of.chain.files, identity] });
    return { read: (offset, into) => file.read(offset, into), close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function changeUse(file: SystemFile, of: { path: string; chain: Chain }): void {
  try {
    file.changeUse(of.chain.use);
  } catch (error) {
    throw backingError(error, of.path);
  }
}

function backingError(error: unknown, path: string): unknown {
  if (!(error instanceof BlockError)) return error;
  return new BlockError(error.code, `${path}: its backing file cannot be opened: ${error.message}`, { cause: error });
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
