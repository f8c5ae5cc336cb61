import type { TransferDevice } from '../memory/machine-state.ts';
import { type ByteReader, StreamError } from './byte-reader.ts';
import { decodeGlobalState, GLOBAL_STATE_BYTES, GLOBAL_STATE_SECTION } from './global-state.ts';
import type { SectionHead } from './section.ts';

/** Collects the bodies of devices that are known by their field tables; every one has to come exactly once. */
export class KnownDevices {
  readonly #devices: readonly TransferDevice[];
  readonly #bodies: (Uint8Array | null)[];
  #globalState: string | null = null;

  constructor(devices: readonly TransferDevice[]) {
    this.#devices = devices;
    this.#bodies = devices.map(() => null);
  }

  /** Reads the body of a FULL section. @returns what to do once the section's footer has been checked. */
  read(head: SectionHead, reader: ByteReader): () => void {
    if (head.idstr === GLOBAL_STATE_SECTION.idstr && head.instanceId === GLOBAL_STATE_SECTION.instanceId) {
      checkVersion(head, GLOBAL_STATE_SECTION.versionId);
      if (this.#globalState !== null) throw duplicate(head);
      const body = new Uint8Array(reader.bytes(GLOBAL_STATE_BYTES));
      return () => {
        this.#globalState = decodeGlobalState(body);
      };
    }
    const index = this.#devices.findIndex(
      (device) => device.idstr === head.idstr && device.instanceId === head.instanceId,
    );
    const device = this.#devices[index];
    if (device === undefined) {
      throw new StreamError(
        'section_unknown',
        `the stream has a section '${head.idstr}', instance ${head.instanceId}, which this machine does not have`,
      );
    }
    checkVersion(head, device.versionId);
    if (this.#bodies[index] !== null) throw duplicate(head);
    const body = new Uint8Array(reader.bytes(device.body.length));
    return () => {
      this.#bodies[index] = body;
    };
  }

  /** What was collected. @throws StreamError if a device is missing. */
  finish(): { readonly globalState: string; readonly bodies: readonly Uint8Array[] } {
    const bodies = this.#bodies.map((body, index) => {
      const device = this.#devices[index];
      if (body === null)
        throw new StreamError(
          'section_missing',
          `the stream has no section '${device?.idstr}', instance ${device?.instanceId}`,
        );
      return body;
    });
    if (this.#globalState === null) throw new StreamError('section_missing', "the stream has no section 'globalstate'");
    return { globalState: this.#globalState, bodies };
  }
}

function duplicate(head: SectionHead): StreamError {
  return new StreamError('section_duplicate', `section '${head.idstr}', instance ${head.instanceId}, comes twice`);
}

function checkVersion(head: SectionHead, versionId: number): void {
  if (head.versionId === versionId) return;
  throw new StreamError(
    'section_version',
    `section '${head.idstr}' has version ${head.versionId}; version ${versionId} is read`,
  );
}
