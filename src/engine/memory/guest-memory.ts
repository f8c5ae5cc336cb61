import { compileKernels, instantiateKernels, KernelResults, type Kernels } from '../kernels/kernels.ts';
import {
  MEMORY_PROBE_ADDRESS,
  PAGE_BYTES,
  RAM_ADDRESS,
  SEGMENT_RAM_BYTES_MAX,
  STAGING_ADDRESS,
  WASM_PAGE_BYTES,
  type WorkArea,
} from './layout.ts';
import type { GuestMemory, RamBlock, RamExtent } from './machine-state.ts';
import { adviseHugePages, giveBackMemory } from './memory-advice.ts';

/** Name and length, in bytes, of a RAM block that is created; the length is a multiple of the page size. */
export type BlockSize = { readonly name: string; readonly bytes: number };

/**
 * Creates zeroed guest memory for `sizes`, in as few segments as possible. The pages are only reserved: the system
 * allocates a page when it is first written.
 * @throws RangeError if a length, or `segmentBytesMax`, is not a positive multiple of the page size.
 */
export function createGuestMemory(sizes: readonly BlockSize[], segmentBytesMax = SEGMENT_RAM_BYTES_MAX): GuestMemory {
  if (!isWholePages(segmentBytesMax) || segmentBytesMax > SEGMENT_RAM_BYTES_MAX) {
    throw new RangeError(`segments of ${segmentBytesMax} bytes cannot be created`);
  }
  const usedBytes: number[] = [];
  const blocks: RamBlock[] = sizes.map((size) => {
    if (!isWholePages(size.bytes)) {
      throw new RangeError(`RAM block ${size.name} has ${size.bytes} bytes, which is no multiple of ${PAGE_BYTES}`);
    }
    return { name: size.name, bytes: size.bytes, extents: placeBlock(size.bytes, usedBytes, segmentBytesMax) };
  });
  const segments = usedBytes.map((bytes) => {
    const pages = (RAM_ADDRESS + Math.ceil(bytes / WASM_PAGE_BYTES) * WASM_PAGE_BYTES) / WASM_PAGE_BYTES;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    // Not from its start: a vCPU that sets one bit of the dirty log would allocate 2 MiB.
    adviseHugePages(memory, STAGING_ADDRESS);
    return memory;
  });
  return { segments, blocks };
}

/**
 * Writes a zero into every page of fresh memory, so that the system allocates all of it now. As with QEMU's prealloc, a
 * later incoming migration then causes no page faults. No other thread may use the memory meanwhile.
 */
export function touchMemory(memory: GuestMemory): void {
  for (const segment of memory.segments) {
    const bytes = new Uint8Array(segment.buffer);
    for (let at = RAM_ADDRESS; at < bytes.length; at += PAGE_BYTES) bytes[at] = 0;
  }
}

/**
 * True if both are the same shared memory. The objects may differ: memory that crosses a thread becomes a new object. So
 * a word is changed through one of them and read through the other, then restored; no other thread may do so meanwhile.
 */
export function isSameMemory(one: GuestMemory, other: GuestMemory): boolean {
  return (
    one.segments.length === other.segments.length &&
    one.segments.length > 0 &&
    one.segments.every((segment, index) => isSameSegment(segment, other.segments[index] ?? segment))
  );
}

function isSameSegment(one: WebAssembly.Memory, other: WebAssembly.Memory): boolean {
  const [written, read] = [one, other].map(({ buffer }) => new Int32Array(buffer, MEMORY_PROBE_ADDRESS, 1));
  if (written === undefined || read === undefined) return false;
  const before = Atomics.load(read, 0);
  Atomics.add(written, 0, 1);
  const after = Atomics.load(read, 0);
  Atomics.sub(written, 0, 1);
  return after !== before;
}

/** Sum of the block lengths, in bytes. */
export function memoryBytes(memory: GuestMemory): number {
  return memory.blocks.reduce((sum, block) => sum + block.bytes, 0);
}

function isWholePages(bytes: number): boolean {
  return bytes > 0 && bytes % PAGE_BYTES === 0;
}

function placeBlock(bytes: number, usedBytes: number[], segmentBytesMax: number): RamExtent[] {
  const extents: RamExtent[] = [];
  let left = bytes;
  while (left > 0) {
    let segment = usedBytes.length - 1;
    if (segment < 0 || usedBytes[segment] === segmentBytesMax) {
      usedBytes.push(0);
      segment += 1;
    }
    const used = usedBytes[segment] ?? 0;
    const take = Math.min(left, segmentBytesMax - used);
    extents.push({ segment, address: RAM_ADDRESS + used, blockOffset: bytes - left, bytes: take });
    usedBytes[segment] = used + take;
    left -= take;
  }
  return extents;
}

/** The kernels of one segment, their results, and the 64-bit words of a bitmap of its pages. */
export type SegmentKernels = { readonly kernels: Kernels; readonly results: KernelResults; readonly words: number };

/** Kernels for every segment of `memory`, for the calling thread with its work area. */
export function kernelsOf(memory: GuestMemory, area: WorkArea, module = compileKernels()): SegmentKernels[] {
  return memory.segments.map((segment, index) => {
    const used = memory.blocks.flatMap((block) => block.extents).filter((extent) => extent.segment === index);
    const pages = Math.max(0, ...used.map((extent) => firstPageOf(extent) + extent.bytes / PAGE_BYTES));
    return {
      kernels: instantiateKernels(segment, module, area),
      results: new KernelResults(segment, area),
      words: Math.ceil(pages / 64),
    };
  });
}

/** The first page of the extent, counted from the start of the segment's RAM. */
export function firstPageOf(extent: RamExtent): number {
  return (extent.address - RAM_ADDRESS) / PAGE_BYTES;
}

/**
 * The guest's memory, and spare memory of the same shape. A snapshot is loaded into the spare memory while the guest's
 * own memory is unchanged. Both keep their address space while the machine exists; the pages of the spare memory are
 * given back to the system when no load uses it.
 *
 * The caller of `lend` owns the spare memory until `swap` or `discard`.
 */
export class MemoryPair {
  #current: GuestMemory;
  #spare: GuestMemory | null = null;
  #isLent = false;

  constructor(current: GuestMemory) {
    this.#current = current;
  }

  get current(): GuestMemory {
    return this.#current;
  }

  /** Lends empty memory of the same shape. Memory that was lent before is discarded. */
  lend(): GuestMemory {
    this.discard();
    this.#isLent = true;
    this.#spare ??= createGuestMemory(this.#current.blocks, this.#current.blocks[0]?.extents[0]?.bytes);
    return this.#spare;
  }

  /** Discards lent memory; it may no longer be written. Does nothing if no memory is lent. */
  discard(): void {
    if (!this.#isLent) return;
    this.#isLent = false;
    this.#giveBackSpare();
  }

  /** True for the memory that is lent; the object may be a clone. */
  isLent(memory: GuestMemory): boolean {
    return this.#isLent && this.#spare !== null && isSameMemory(memory, this.#spare);
  }

  isCurrent(memory: GuestMemory): boolean {
    return isSameMemory(memory, this.#current);
  }

  /** Makes the lent memory the guest's; the guest's previous memory becomes the spare. */
  swap(): void {
    if (this.#spare === null || !this.#isLent) throw new Error('no memory was lent that could be taken');
    [this.#current, this.#spare] = [this.#spare, this.#current];
    this.#isLent = false;
    this.#giveBackSpare();
  }

  /** If the system cannot take single pages back, the whole memory is left to the garbage collector. */
  #giveBackSpare(): void {
    if (this.#spare !== null && !giveBackMemory(this.#spare)) this.#spare = null;
  }
}
