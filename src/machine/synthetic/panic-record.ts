import type { GuestPanic } from '../../domain/ports/hypervisor.ts';
import type { DeviceField, TransferDevice } from '../../engine/memory/machine-state.ts';

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
 * The guest's panic in shared memory: the first finding of whichever thread makes it. Behind a word that decides who
 * was first lies the body of a device, so that a guest that has panicked is still one after a migration.
 */
export class PanicRecord {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #body: DataView;

  constructor(buffer = new SharedArrayBuffer(BODY_OFFSET + LENGTH_BYTES + TEXT_BYTES_MAX)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, 1);
    this.#body = new DataView(buffer, BODY_OFFSET);
  }

  /** The device: the length of a JSON text, 0 for a guest that is well, and the text. */
  get device(): TransferDevice {
    return {
      idstr: 'ferry-panic',
      instanceId: 0,
      versionId: 1,
      fields: FIELDS,
      body: new Uint8Array(this.buffer, BODY_OFFSET),
    };
  }

  /** @returns false if the guest has panicked already: the first finding stays. */
  write(panic: GuestPanic): boolean {
    if (Atomics.compareExchange(this.#words, STATE, EMPTY, CLAIMED) !== EMPTY) return false;
    const detail = panic.detail.slice(0, TEXT_BYTES_MAX / 4);
    const text = new TextEncoder().encode(JSON.stringify({ ...panic, detail }));
    new Uint8Array(this.buffer, BODY_OFFSET + LENGTH_BYTES).set(text);
    this.#body.setUint32(0, text.length);
    Atomics.store(this.#words, STATE, WRITTEN);
    return true;
  }

  read(): GuestPanic | null {
    if (Atomics.load(this.#words, STATE) !== WRITTEN) return null;
    return readPanicBody(new Uint8Array(this.buffer, BODY_OFFSET));
  }

  clear(): void {
    this.#body.setUint32(0, 0);
    Atomics.store(this.#words, STATE, EMPTY);
  }

  /** The device's body was replaced: what it holds counts. @returns true if the guest has panicked. */
  adopt(): boolean {
    const hasPanicked = this.#body.getUint32(0) > 0;
    Atomics.store(this.#words, STATE, hasPanicked ? WRITTEN : EMPTY);
    return hasPanicked;
  }
}

/** What a body, which may come from outside, says. @throws RangeError if no guest could have written it. */
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
