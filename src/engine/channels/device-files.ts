import { close, fchmodSync, fstatSync, fsync, read, write } from 'node:fs';
import { promisify } from 'node:util';
import type { TransferErrorCode } from '../../domain/ports/transfer-errors.ts';
import type { LoadedMachine, TransferSource } from '../memory/machine-state.ts';
import { StreamError } from '../stream/bytes.ts';
import { DEVICE_BYTES_MAX } from '../stream/constants.ts';
import { type DeviceStateBytes, decodeDeviceStream, encodeDeviceStream } from '../stream/device-stream.ts';
import { toTransferError } from './channel.ts';
import { FileDraft } from './file-draft.ts';
import { linkBelow, linkRefusal, openToRead } from './open-below.ts';

const readFrom = promisify(read);
const writeTo = promisify(write);
const flush = promisify(fsync);
const closeFile = promisify(close);

/** A file below the only folder where files may lie. */
export type FilePlace = { readonly fileRoot: string; readonly path: string };

/** What the promises of `DeviceFiles` reject with. */
export type DeviceFileError = { readonly code: TransferErrorCode; readonly message: string };

export interface DeviceFiles {
  /** How a path with a symbolic link in it is refused, which names the link; null if no part of it is one. */
  refusalOfLink(place: FilePlace): string | null;
  /** Puts down the state of the devices, which must stand still; nothing of them is looked at afterwards. */
  encode(source: TransferSource): DeviceStateBytes;
  /** Makes a file of these bytes, in the place of one that may be there: all of it, or what was there stays. */
  write(place: FilePlace, bytes: Uint8Array): Promise<void>;
  /** Reads the state of just the devices that `source` has. @returns that machine with these devices, to be adopted. */
  read(place: FilePlace, source: TransferSource): Promise<LoadedMachine>;
}

/** Device states in files below the file root, opened as `file:` addresses are. */
export const deviceFiles: DeviceFiles = {
  refusalOfLink: ({ fileRoot, path }) => {
    const link = linkBelow(fileRoot, path);
    return link === null ? null : linkRefusal(path, link);
  },
  encode: encodeDeviceStream,
  write: (place, bytes) => inOurWords(place, () => replaceFile(place, bytes)),
  read: (place, source) => inOurWords(place, async () => decodeDeviceStream(await readWhole(place), source)),
};

/** Written beside it under another name, and given its own once it is on the disk. */
async function replaceFile({ fileRoot, path }: FilePlace, bytes: Uint8Array): Promise<void> {
  const draft = new FileDraft(fileRoot, path, { headBytes: 0 });
  try {
    const { fd } = draft;
    // A device state is for its owner only, whatever it replaces.
    fchmodSync(fd, 0o600);
    for (let at = 0; at < bytes.length; ) at += (await writeTo(fd, bytes, at, bytes.length - at, at)).bytesWritten;
    await flush(fd);
    await draft.keep();
  } catch (error) {
    draft.discard();
    throw error;
  }
}

async function readWhole({ fileRoot, path }: FilePlace): Promise<Uint8Array> {
  const fd = openToRead(fileRoot, path);
  try {
    const { size } = fstatSync(fd);
    if (size > DEVICE_BYTES_MAX) {
      throw new StreamError(
        'device_bytes_too_many',
        `file:${path} has ${size} bytes; at most ${DEVICE_BYTES_MAX} are read`,
      );
    }
    const bytes = Buffer.alloc(size);
    let length = 0;
    for (let count = 1; count > 0 && length < size; length += count) {
      count = (await readFrom(fd, bytes, length, size - length, length)).bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await closeFile(fd);
  }
}

async function inOurWords<T>({ path }: FilePlace, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StreamError) {
      throw { code: error.code, message: `file:${path}: ${error.message}` } satisfies DeviceFileError;
    }
    throw toTransferError(error, `file:${path}`) satisfies DeviceFileError;
  }
}
