import type { DeviceField, TransferDevice } from '../../engine/memory/machine-state.ts';

/** Makes a device with a zeroed body in shared memory. Instances of one idstr differ in `instanceId`. */
export function createDevice(idstr: string, instanceId: number, fields: readonly DeviceField[]): TransferDevice {
  const body = new Uint8Array(new SharedArrayBuffer(fieldBytes(fields)));
  return { idstr, instanceId, versionId: 1, fields, body };
}

function fieldBytes(fields: readonly DeviceField[]): number {
  return fields.reduce((sum, field) => sum + field.bytes, 0);
}

/** Reads and writes fields of a device's body by name. Integers are big-endian and exact below 2^53. */
export class DeviceBody {
  readonly bytes: Uint8Array;
  readonly #name: string;
  readonly #view: DataView;
  readonly #places = new Map<string, { readonly field: DeviceField; readonly offset: number }>();

  /** @throws RangeError if `bytes`, which may come from outside, are not as many as the fields have. */
  constructor(device: Omit<TransferDevice, 'body'>, bytes: Uint8Array) {
    this.#name = `${device.idstr} ${device.instanceId}`;
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let offset = 0;
    for (const field of device.fields) {
      this.#places.set(field.name, { field, offset });
      offset += field.bytes;
    }
    if (bytes.byteLength !== offset) {
      throw new RangeError(`${this.#name} has ${bytes.byteLength} bytes of state instead of ${offset}`);
    }
  }

  /** @throws RangeError if the field holds 2^53 or more. */
  read(name: string): number {
    const { field, offset } = this.#place(name);
    if (field.type === 'uint8') return this.#view.getUint8(offset);
    if (field.type === 'uint32') return this.#view.getUint32(offset);
    const value = this.#view.getUint32(offset) * 2 ** 32 + this.#view.getUint32(offset + 4);
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    throw new RangeError(`${name} of ${this.#name} is ${this.#view.getBigUint64(offset)}, which is 2^53 or more`);
  }

  /** As `read`, with both bounds allowed. @throws RangeError that names the field if it is outside. */
  readBetween(name: string, least: number, most: number): number {
    const value = this.read(name);
    if (value >= least && value <= most) return value;
    throw new RangeError(`${name} of ${this.#name} is ${value}, which is not between ${least} and ${most}`);
  }

  write(name: string, value: number): void {
    const { field, offset } = this.#place(name);
    if (field.type === 'uint8') this.#view.setUint8(offset, value);
    else if (field.type === 'uint32') this.#view.setUint32(offset, value);
    else this.#view.setBigUint64(offset, BigInt(value));
  }

  /** The bytes of a `buffer` field, in place. */
  buffer(name: string): Uint8Array {
    const { field, offset } = this.#place(name);
    return this.bytes.subarray(offset, offset + field.bytes);
  }

  #place(name: string): { readonly field: DeviceField; readonly offset: number } {
    const place = this.#places.get(name);
    if (place === undefined) throw new RangeError(`${this.#name} has no field ${name}`);
    return place;
  }
}
