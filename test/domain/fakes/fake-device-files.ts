import type { DeviceFileError, DeviceFiles, FilePlace } from '../../../src/engine/channels/device-files.ts';
import type { LoadedMachine, TransferSource } from '../../../src/engine/memory/machine-state.ts';
import type { DeviceStateBytes } from '../../../src/engine/stream/device-stream.ts';

/** Files in memory, by their paths below the root. */
export class FakeDeviceFiles implements DeviceFiles {
  readonly files = new Map<string, Uint8Array>();
  /** The promise that the next file operation waits for. */
  delay: Promise<void> = Promise.resolve();
  /** The error of the operation after that. */
  fault: unknown = null;

  refusalOfLink(): string | null {
    return null;
  }

  encode({ machineName }: TransferSource): DeviceStateBytes {
    return { bytes: Buffer.from(machineName), sections: 1 };
  }

  async write({ path }: FilePlace, bytes: Uint8Array): Promise<void> {
    await this.#work();
    this.files.set(path, bytes);
  }

  async read({ path }: FilePlace, { memory }: TransferSource): Promise<LoadedMachine> {
    await this.#work();
    if (!this.files.has(path)) {
      throw { code: 'no_such_file', message: `file:${path}: there is no such file` } satisfies DeviceFileError;
    }
    return { globalState: 'running', state: { form: 'devices', bodies: [], memory } };
  }

  async #work(): Promise<void> {
    await this.delay;
    if (this.fault !== null) throw this.fault;
  }
}
