import type { GuestPanic } from '../../domain/ports/hypervisor.ts';
import type { DeviceField, TransferDevice } from '../../engine/memory/machine-state.ts';
import { assertTimer, CONSOLE_FIELDS, createDevice, DeviceBody, TIMER_FIELDS } from './device-bodies.ts';
import { DISK_FIELDS, readDiskRegisters } from './disk-ledger.ts';
import type { GuestMap } from './guest-map.ts';
import { readRegisters, readWorkload, VCPU_FIELDS, WORKLOAD_FIELDS } from './guest-workload.ts';

/** The synthetic guest's devices. Each body is shared memory: the same bytes in every thread that has them. */
export type GuestDevices = {
  readonly workload: TransferDevice;
  readonly timer: TransferDevice;
  readonly console: TransferDevice;
  readonly disk: TransferDevice;
  readonly panic: TransferDevice;
  readonly vcpus: readonly TransferDevice[];
};

export function createGuestDevices(vcpus: number, panic: TransferDevice): GuestDevices {
  return {
    workload: createDevice('ferry-workload', 0, WORKLOAD_FIELDS),
    timer: createDevice('ferry-timer', 0, TIMER_FIELDS),
    console: createDevice('ferry-console', 0, CONSOLE_FIELDS),
    disk: createDevice('ferry-disk', 0, DISK_FIELDS),
    panic,
    vcpus: Array.from({ length: vcpus }, (_, index) => createDevice('ferry-vcpu', index, VCPU_FIELDS)),
  };
}

/** All devices in the order of the stream. */
export function deviceList(devices: GuestDevices): readonly TransferDevice[] {
  const { workload, timer, console, disk, panic, vcpus } = devices;
  return [workload, timer, console, disk, panic, ...vcpus];
}

export function bodyOf(device: TransferDevice): DeviceBody {
  return new DeviceBody(device, device.body);
}

/**
 * Checks bodies that came from outside, in the order of `deviceList`, before they are used.
 * @throws RangeError that names the device and the invalid field.
 */
export function assertBodies(
  devices: GuestDevices,
  bodies: readonly Uint8Array[],
  map: GuestMap,
  ramBytes: number,
): void {
  const list = deviceList(devices);
  if (bodies.length !== list.length) {
    throw new RangeError(`${bodies.length} devices were loaded for a guest that has ${list.length}`);
  }
  const [workload, timer, console, disk, panic, ...vcpus] = list.map((device, index) => {
    return new DeviceBody(device, bodies[index] ?? new Uint8Array());
  });
  if (!workload || !timer || !console || !disk || !panic) throw new RangeError('a device is missing');
  readWorkload(workload, ramBytes);
  assertTimer(timer);
  console.read('written');
  readDiskRegisters(disk);
  readPanicBody(panic.bytes);
  vcpus.forEach((body, index) => {
    readRegisters(body, map.ownedPages(index));
  });
}

const STATE = 0;
const BODY_OFFSET = 8;
const TEXT_BYTES_MAX = 2048;
const EMPTY = 0;
const CLAIMED = 1;
const WRITTEN = 2;

const FIELDS: readonly DeviceField[] = [
  { name: 'length', type: 'uint32', bytes: 4 },
  { name: 'text', type: 'buffer', bytes: TEXT_BYTES_MAX },
];
const LENGTH_BYTES = 4;

/**
 * The guest's panic in shared memory: the first fault that any thread finds. A state cell decides which thread is
 * first. The body of a device follows it, so that the panic migrates with the guest.
 */
export class PanicRecord {
  readonly buffer: SharedArrayBuffer;
  readonly #state: Int32Array;
  readonly #body: DataView;

  constructor(buffer = new SharedArrayBuffer(BODY_OFFSET + LENGTH_BYTES + TEXT_BYTES_MAX)) {
    this.buffer = buffer;
    this.#state = new Int32Array(buffer, 0, 1);
    this.#body = new DataView(buffer, BODY_OFFSET);
  }

  /** The device: the length of a JSON text, 0 without a panic, and the text. */
  get device(): TransferDevice {
    return {
      idstr: 'ferry-panic',
      instanceId: 0,
      versionId: 1,
      fields: FIELDS,
      body: new Uint8Array(this.buffer, BODY_OFFSET),
    };
  }

  /** @returns false if the guest has already panicked; the first record is kept. */
  write(panic: GuestPanic): boolean {
    if (Atomics.compareExchange(this.#state, STATE, EMPTY, CLAIMED) !== EMPTY) return false;
    const detail = panic.detail.slice(0, TEXT_BYTES_MAX / 4);
    const text = new TextEncoder().encode(JSON.stringify({ ...panic, detail }));
    new Uint8Array(this.buffer, BODY_OFFSET + LENGTH_BYTES).set(text);
    this.#body.setUint32(0, text.length);
    Atomics.store(this.#state, STATE, WRITTEN);
    return true;
  }

  read(): GuestPanic | null {
    if (Atomics.load(this.#state, STATE) !== WRITTEN) return null;
    return readPanicBody(new Uint8Array(this.buffer, BODY_OFFSET));
  }

  clear(): void {
    this.#body.setUint32(0, 0);
    Atomics.store(this.#state, STATE, EMPTY);
  }

  /** Takes the state from a replaced body of the device. @returns true if the guest has panicked. */
  adopt(): boolean {
    const hasPanicked = this.#body.getUint32(0) > 0;
    Atomics.store(this.#state, STATE, hasPanicked ? WRITTEN : EMPTY);
    return hasPanicked;
  }
}

/** Reads a body. @throws RangeError if the body, which may come from outside, is invalid. */
export function readPanicBody(body: Uint8Array): GuestPanic | null {
  if (body.length !== LENGTH_BYTES + TEXT_BYTES_MAX)
    throw new RangeError(`ferry-panic has ${body.length} bytes of state`);
  const length = new DataView(body.buffer, body.byteOffset).getUint32(0);
  if (length === 0) return null;
  if (length > TEXT_BYTES_MAX) throw new RangeError(`length of ferry-panic is ${length}, above ${TEXT_BYTES_MAX}`);
  const text = new TextDecoder().decode(Uint8Array.from(body.subarray(LENGTH_BYTES, LENGTH_BYTES + length)));
  const panic = parse(text);
  if (isPanic(panic)) return { kind: panic.kind, address: panic.address, detail: panic.detail };
  throw new RangeError('text of ferry-panic is not the record of a panic');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isPanic(value: unknown): value is GuestPanic {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, address, detail } = value as Partial<Record<keyof GuestPanic, unknown>>;
  const isAddress = address === null || (Number.isSafeInteger(address) && Number(address) >= 0);
  return typeof kind === 'string' && typeof detail === 'string' && isAddress;
}
