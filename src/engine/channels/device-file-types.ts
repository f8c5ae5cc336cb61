import type { TransferErrorCode } from '../../domain/ports/transfer-errors.ts';
import type { LoadedMachine, TransferSource } from '../memory/machine-state.ts';

/* Files with a machine's device state alone, as xen-save-devices-state makes them: the port that writes and reads them. */

/** A file below the only folder where files may lie. */
export type FilePlace = { readonly fileRoot: string; readonly path: string };

export type DeviceStateBytes = { readonly bytes: Uint8Array; readonly sections: number };

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
