import type { DeviceField, TransferDevice } from '../../engine/memory/machine-state.ts';

/** Creates a device with a zeroed body in shared memory. Instances of one idstr differ in `instanceId`. */
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

  /** @throws RangeError if the length of `bytes`, which may come from outside, is not that of the fields. */
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

export const CONSOLE_BYTES = 4096;

export const CONSOLE_FIELDS = [
  { name: 'written', type: 'uint64', bytes: 8 },
  { name: 'ring', type: 'buffer', bytes: CONSOLE_BYTES },
] as const;

const READ_ATTEMPTS = 4;

/** The guest's console: the newest 4 KiB of its output, in the body of a device. Only one thread writes. */
export class ConsoleRing {
  readonly #body: DeviceBody;
  readonly #ring: Uint8Array;

  constructor(body: DeviceBody) {
    this.#body = body;
    this.#ring = body.buffer('ring');
  }

  /** Appends ASCII text. */
  print(text: string): void {
    const written = this.#body.read('written');
    for (let at = 0; at < text.length; at += 1) {
      this.#ring[(written + at) % CONSOLE_BYTES] = text.charCodeAt(at) & 0x7f;
    }
    this.#body.write('written', written + text.length);
  }

  /** The newest text, for any thread. Reads again if the writer printed during the read. */
  text(): string {
    let text = '';
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt += 1) {
      const written = this.#body.read('written');
      text = this.#copy(written);
      if (this.#body.read('written') === written) break;
    }
    return text;
  }

  #copy(written: number): string {
    const start = Math.max(0, written - CONSOLE_BYTES);
    const bytes = Uint8Array.from(
      { length: written - start },
      (_, at) => this.#ring[(start + at) % CONSOLE_BYTES] ?? 0,
    );
    return new TextDecoder('latin1').decode(bytes);
  }
}

export const TIMER_FIELDS = [
  { name: 'ticks', type: 'uint64', bytes: 8 },
  { name: 'since-tick-us', type: 'uint32', bytes: 4 },
] as const;

export const TICK_MS = 100;

/** Most guest time that one slice adds: a long sleep of the host is a short pause for the guest. */
const ADVANCE_MS_MAX = 1000;

/** Counts guest time, which passes only while the guest runs: a tick and a line on the console every 100 ms. */
export class GuestTimer {
  readonly #body: DeviceBody;
  readonly #console: ConsoleRing;
  #ticks: number;
  #sinceTickMs: number;

  constructor(body: DeviceBody, console: ConsoleRing) {
    this.#body = body;
    this.#console = console;
    this.#ticks = body.read('ticks');
    this.#sinceTickMs = body.read('since-tick-us') / 1000;
  }

  get ticks(): number {
    return this.#ticks;
  }

  /** Milliseconds of guest time until the next tick. */
  get untilTickMs(): number {
    return TICK_MS - this.#sinceTickMs;
  }

  advance(elapsedMs: number): void {
    this.#sinceTickMs += Math.min(elapsedMs, ADVANCE_MS_MAX);
    while (this.#sinceTickMs >= TICK_MS) {
      this.#sinceTickMs -= TICK_MS;
      this.#ticks += 1;
      this.#console.print(`tick ${this.#ticks}\n`);
    }
  }

  save(): void {
    this.#body.write('ticks', this.#ticks);
    this.#body.write('since-tick-us', Math.floor(this.#sinceTickMs * 1000));
  }
}

/** @throws RangeError if the body, which may come from outside, is invalid. */
export function assertTimer(body: DeviceBody): void {
  body.read('ticks');
  body.readBetween('since-tick-us', 0, TICK_MS * 1000 - 1);
}
