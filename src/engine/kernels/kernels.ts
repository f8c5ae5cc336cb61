import { readFileSync } from 'node:fs';
import { WORK_AREA, type WorkArea } from '../memory/layout.ts';

export type Kernels = MigrationKernels & GuestKernels;

/** Reads and compiles the kernels. A thread does this once, and instantiates the module for each segment. */
export function compileKernels(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL('../../../kernels/build/kernels.wasm', import.meta.url)));
}

/**
 * Kernels that work in `memory`, one segment of guest memory.
 * @param area where the kernels of the engine store their results; those of the guest have none.
 */
export function instantiateKernels(
  memory: WebAssembly.Memory,
  module: WebAssembly.Module = compileKernels(),
  area: WorkArea = WORK_AREA.transfer,
): Kernels {
  return new WebAssembly.Instance(module, { env: { memory, results: area.results } }).exports as unknown as Kernels;
}

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

/** Three counts that a kernel of the engine writes beside its result; each kernel documents their meaning. */
export class KernelResults {
  readonly #words: Uint32Array;

  constructor(memory: WebAssembly.Memory, { results }: WorkArea) {
    this.#words = new Uint32Array(memory.buffer, results, 3);
  }

  get(index: 0 | 1 | 2): number {
    return this.#words[index] ?? 0;
  }
}

/** The kernels of the synthetic guest; see kernels/assembly/guest-*.ts. Addresses count from the start of the memory. */
export type GuestKernels = {
  guestFillWrite(address: number, page: number, seed: number, style: number): void;
  guestFillMatches(address: number, page: number, seed: number, style: number): number;
  guestIsZero(address: number, bytes: number): number;
  guestPageWrite(address: number, page: number, seq: number, vcpu: number, seed: number, style: number): void;
  guestPageMatches(address: number, page: number, seq: number, vcpu: number, seed: number, style: number): number;
  guestLedgerLoad(address: number): number;
  guestLedgerStore(address: number, seq: number): void;
  guestLedgerSum(address: number, stride: number, count: number): number;
  guestMarkDirty(log: number, index: number): void;
};

/** The contents of guest pages: random bytes, which do not compress, or text, which compresses well. */
export const GUEST_STYLE = { random: 1, text: 2 } as const;
export type GuestStyle = (typeof GUEST_STYLE)[keyof typeof GUEST_STYLE];

/** The layout of a written page, in bytes; see kernels/assembly/guest-page.ts. */
export const GUEST_PAGE = {
  magic: 0x59_52_52_45_46_47_41_50n,
  pageOffset: 8,
  seqOffset: 16,
  vcpuOffset: 24,
  checksumOffset: 32,
  bodyOffset: 64,
} as const;
