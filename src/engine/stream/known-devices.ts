import type { TransferDevice } from '../memory/machine-state.ts';
import { type ByteReader, ByteWriter, StreamError } from './bytes.ts';
import type { SectionHead } from './stream-elements.ts';

/** Collects the bodies of devices whose field tables are known. Each device must come exactly once. */
export class KnownDevices {
  readonly #devices: readonly TransferDevice[];
  readonly #bodies: (Uint8Array | null)[];
  #globalState: string | null = null;

  constructor(devices: readonly TransferDevice[]) {
    this.#devices = devices;
    this.#bodies = devices.map(() => null);
  }

  /** Reads the body of a FULL section. @returns a function that keeps it, for when the footer has been checked. */
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

  /** The collected bodies. @throws StreamError if a device is missing. */
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

/*
 * Body of the globalstate section, version 1, 104 bytes:
 *
 *   u32 size = length of the run state's name + 1, 32 bytes name NUL padded, u8 has_vm_was_suspended,
 *   u8 vm_was_suspended, 66 zero bytes
 */

export const GLOBAL_STATE_BYTES = 104;
export const GLOBAL_STATE_SECTION = { idstr: 'globalstate', instanceId: 0, versionId: 1 } as const;
const NAME_BYTES = 32;

export function encodeGlobalState(runState: string): Uint8Array {
  const body = new Uint8Array(GLOBAL_STATE_BYTES);
  const name = Buffer.from(runState, 'latin1');
  if (name.length >= NAME_BYTES) throw new RangeError(`run state '${runState}' is longer than ${NAME_BYTES - 1} bytes`);
  body.set(
    new ByteWriter()
      .u32(name.length + 1)
      .bytes(name)
      .finish(),
  );
  return body;
}

/** A copy of the body with another run state; the bytes behind the name are unchanged. */
export function withRunState(body: Uint8Array, runState: string): Uint8Array {
  const changed = Uint8Array.from(body);
  changed.set(encodeGlobalState(runState).subarray(0, 4 + NAME_BYTES));
  return changed;
}

/** The name of the run state. @throws StreamError if the body is not that of globalstate. */
export function decodeGlobalState(body: Uint8Array): string {
  if (body.length !== GLOBAL_STATE_BYTES) {
    throw new StreamError('global_state_broken', `globalstate has ${body.length} bytes, not ${GLOBAL_STATE_BYTES}`);
  }
  const name = Buffer.from(body.subarray(4, 4 + NAME_BYTES));
  const end = name.indexOf(0);
  const text = name.toString('latin1', 0, end < 0 ? 0 : end);
  if (!/^[a-z][a-z-]*$/.test(text)) {
    throw new StreamError('global_state_broken', 'globalstate does not hold the name of a run state');
  }
  return text;
}

/** The field table for the vmdescription. */
export const GLOBAL_STATE_FIELDS = [
  { name: 'size', type: 'uint32', bytes: 4 },
  { name: 'runstate', type: 'buffer', bytes: NAME_BYTES },
  { name: 'has_vm_was_suspended', type: 'uint8', bytes: 1 },
  { name: 'vm_was_suspended', type: 'uint8', bytes: 1 },
  { name: 'unused', type: 'buffer', bytes: 66 },
] as const;
