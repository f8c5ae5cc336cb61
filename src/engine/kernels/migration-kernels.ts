import { ENGINE_RESULT_ADDRESS } from '../memory/layout.ts';

/** The kernels of the transfer engine; see kernels/assembly for what each does. Pages count from the segment's RAM. */
export type MigrationKernels = {
  encodePages(
    firstPage: number,
    endPage: number,
    blockDelta: bigint,
    out: number,
    outEnd: number,
    name: number,
    nameLength: number,
    detectZero: number,
    pagesMax: number,
  ): number;
  decodePages(input: number, inputEnd: number, lowOffset: bigint, highOffset: bigint, firstPage: number): number;
  storePage(page: number, source: number): void;
  clearPage(page: number): void;
  syncDirtyLog(words: number): number;
  markAllDirty(firstPage: number, endPage: number): void;
  clearMigrationBitmap(words: number): void;
};

/** Why `decodePages` stopped. */
export const DECODE_STOP = { incomplete: 0, other: 1, outside: 2 } as const;

/** Three counts that the engine's kernels leave behind; their meaning is each kernel's. */
export class KernelResults {
  readonly #words: Uint32Array;

  constructor(memory: WebAssembly.Memory) {
    this.#words = new Uint32Array(memory.buffer, ENGINE_RESULT_ADDRESS, 3);
  }

  get(index: 0 | 1 | 2): number {
    return this.#words[index] ?? 0;
  }
}
