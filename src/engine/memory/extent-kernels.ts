import { compileKernels, instantiateKernels, KernelResults, type Kernels } from '../kernels/kernels.ts';
import { PAGE_BYTES, RAM_ADDRESS } from './layout.ts';
import type { GuestMemory, RamExtent } from './machine-state.ts';

/** The kernels of one segment, and where they leave their counts. */
export type SegmentKernels = { readonly kernels: Kernels; readonly results: KernelResults; readonly words: number };

/** Kernels for every segment of `memory`, for the calling thread. */
export function kernelsOf(memory: GuestMemory, module = compileKernels()): SegmentKernels[] {
  return memory.segments.map((segment, index) => {
    const used = memory.blocks.flatMap((block) => block.extents).filter((extent) => extent.segment === index);
    const pages = Math.max(0, ...used.map((extent) => firstPageOf(extent) + extent.bytes / PAGE_BYTES));
    return {
      kernels: instantiateKernels(segment, module),
      results: new KernelResults(segment),
      words: Math.ceil(pages / 64),
    };
  });
}

/** Page of the segment's RAM at which the extent begins. */
export function firstPageOf(extent: RamExtent): number {
  return (extent.address - RAM_ADDRESS) / PAGE_BYTES;
}
