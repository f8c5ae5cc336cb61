import { LIVE_PARAMETERS, type LiveParameter, type LiveParameters } from '../../domain/settings/declared-settings.ts';

const CELL_BYTES = 8;

/** The live parameters of a migration in shared memory. The main thread writes them; the worker reads them at each use. */
export class LiveParameterCells {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(LIVE_PARAMETERS.length * CELL_BYTES)) {
    this.buffer = buffer;
    this.#cells = new BigInt64Array(buffer);
  }

  write(parameters: LiveParameters): void {
    for (const [index, name] of LIVE_PARAMETERS.entries()) Atomics.store(this.#cells, index, BigInt(parameters[name]));
  }

  /** The value in the parameter's own unit; 1 or 0 of a parameter that is on or off. */
  get(name: LiveParameter): number {
    return Number(Atomics.load(this.#cells, LIVE_PARAMETERS.indexOf(name)));
  }

  /** A bandwidth in bytes/s; Infinity for the value 0, which means unlimited. */
  limit(name: LiveParameter): number {
    return this.get(name) || Number.POSITIVE_INFINITY;
  }
}
