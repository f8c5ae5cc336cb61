import type { LiveParameters } from '../domain/transfer-port.ts';

/** Parameters that a running migration obeys, in shared memory: written by the main thread, read by the worker. */
export class LiveParameterWords {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(3 * 8)) {
    this.buffer = buffer;
    this.#cells = new BigInt64Array(buffer);
  }

  write(parameters: LiveParameters): void {
    Atomics.store(this.#cells, 0, BigInt(parameters.maxBandwidth));
    Atomics.store(this.#cells, 1, BigInt(parameters.availSwitchoverBandwidth));
    Atomics.store(this.#cells, 2, BigInt(parameters.downtimeLimitMs));
  }

  /** Bytes/s; Infinity if unlimited. */
  get maxBandwidth(): number {
    return Number(Atomics.load(this.#cells, 0)) || Number.POSITIVE_INFINITY;
  }

  /** Bytes/s; 0 if the measured bandwidth is to be used. */
  get availSwitchoverBandwidth(): number {
    return Number(Atomics.load(this.#cells, 1));
  }

  get downtimeLimitMs(): number {
    return Number(Atomics.load(this.#cells, 2));
  }
}
