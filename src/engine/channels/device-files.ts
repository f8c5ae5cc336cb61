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

/** A file below the only folder in which files are allowed. */
export type FilePlace = { readonly fileRoot: string; readonly path: string };

/** Rejection of the promises of `DeviceFiles`. */
export type DeviceFileError = { readonly code: TransferErrorCode; readonly message: string };

export interface DeviceFiles {
  /** The message that refuses a path with a symbolic link, and names the link; null if there is no link. */
  refusalOfLink(place: FilePlace): string | null;
  /** Encodes the state of the devices, which must not change during the call. The bytes are a copy. */
  encode(source: TransferSource): DeviceStateBytes;
  /** Writes a file. An existing file is replaced by the complete new one, or stays unchanged. */
  write(place: FilePlace, bytes: Uint8Array): Promise<void>;
  /** Reads a state, which must have exactly the devices of `source`. @returns the machine with that state, to be adopted. */
  read(place: FilePlace, source: TransferSource): Promise<LoadedMachine>;
}

/** Device states in files below the file root, with the same rules as `file:` addresses. */
export const deviceFiles: DeviceFiles = {
  refusalOfLink: ({ fileRoot, path }) => {
    const link = linkBelow(fileRoot, path);
    return link === null ? null : linkRefusal(path, link);
  },
  encode: encodeDeviceStream,
  write: (place, bytes) => inOurWords(place, () => replaceFile(place, bytes)),
  read: (place, source) => inOurWords(place, async () => decodeDeviceStream(await readWhole(place), source)),
};

/** Writes a draft, and gives it the name when its bytes are on the disk. */
async function replaceFile({ fileRoot, path }: FilePlace, bytes: Uint8Array): Promise<void> {
  const draft = new FileDraft(fileRoot, path, { headBytes: 0 });
  try {
    const { fd } = draft;
    // Only the owner may read a device state, whatever the mode of the replaced file.
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
