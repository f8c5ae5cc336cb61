import { StreamError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';

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

/** The same body with another run state; what is behind the name stays. */
export function withRunState(body: Uint8Array, runState: string): Uint8Array {
  const changed = Uint8Array.from(body);
  changed.set(encodeGlobalState(runState).subarray(0, 4 + NAME_BYTES));
  return changed;
}

/** The run state's name. @throws StreamError if the body is not one. */
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
