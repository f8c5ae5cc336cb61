import { setImmediate as turn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import type { DirtyRateFigures, DirtyRatePlan } from '../../domain/ports/dirty.ts';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMemory, RamBlock } from '../../engine/memory/machine-state.ts';
import { timePassed } from './time-passed.ts';

/** Smaller blocks are not looked at. */
const BLOCK_BYTES_MIN = 128 * 2 ** 10;
const GIB = 2 ** 30;
/** The HTTP thread hashes: for so long at a time, looking at the clock now and then. */
const SLICE_MS = 2;
const PAGES_PER_LOOK = 32;

export type PageSamplingOptions = {
  /** The guest's memory now; it may be another one at the end, after a load. Null: there is none. */
  readonly memory: () => GuestMemory | null;
  readonly plan: DirtyRatePlan;
  readonly signal: AbortSignal;
};

/** Pages of one block, drawn at random, with their hashes at the beginning, and when those were taken. */
type Samples = {
  readonly name: string;
  readonly bytes: number;
  readonly pages: Uint32Array;
  readonly hashes: Uint32Array;
  readonly takenMs: Float64Array;
};

/**
 * Hashes random pages, and again when the time is over: a page counts once however often it was written. A walk over all
 * samples takes its time, longer or shorter than the other, so what counts is the mean of what lay between the two looks
 * at each page.
 */
export async function measureBySampling({ memory, plan, signal }: PageSamplingOptions): Promise<DirtyRateFigures> {
  const samples = (memory()?.blocks ?? [])
    .filter(({ bytes }) => bytes >= BLOCK_BYTES_MIN)
    .map((block) => drawSamples(block, plan.samplePages));
  for (const { name, pages, hashes, takenMs } of samples) {
    await walk({ memory, name, pages, signal }, (hash, index, nowMs) => {
      hashes[index] = hash;
      takenMs[index] = nowMs;
    });
  }
  const waitedMs = await timePassed(plan.calcTimeMs, signal);
  let compared = 0;
  let changed = 0;
  let betweenMs = 0;
  let bytes = 0;
  for (const { name, bytes: blockBytes, pages, hashes, takenMs } of samples) {
    if (blockOf(memory(), name)?.bytes !== blockBytes) continue;
    bytes += blockBytes;
    await walk({ memory, name, pages, signal }, (hash, index, nowMs) => {
      compared += 1;
      betweenMs += nowMs - (takenMs[index] ?? 0);
      if (hash !== hashes[index]) changed += 1;
    });
  }
  if (compared === 0) return { elapsedMs: waitedMs, bytes: 0, bytesByVcpu: [] };
  return { elapsedMs: betweenMs / compared, bytes: (bytes * changed) / compared, bytesByVcpu: [] };
}

function drawSamples({ name, bytes }: RamBlock, samplePages: number): Samples {
  const count = Math.floor((samplePages * bytes) / GIB);
  const pages = Uint32Array.from({ length: count }, () => Math.floor((Math.random() * bytes) / PAGE_BYTES));
  return { name, bytes, pages, hashes: new Uint32Array(count), takenMs: new Float64Array(count) };
}

type Walk = Pick<PageSamplingOptions, 'memory' | 'signal'> & { readonly name: string; readonly pages: Uint32Array };

type Look = (hash: number, index: number, nowMs: number) => void;

/** Gives the hash of each page, in slices between which others have their turn. Ends early if the block goes. */
async function walk({ memory, name, pages, signal }: Walk, look: Look): Promise<void> {
  for (let index = 0; index < pages.length; ) {
    const current = memory();
    const block = blockOf(current, name);
    if (current === null || block === null) return;
    const endMs = performance.now() + SLICE_MS;
    for (let nowMs = endMs - SLICE_MS; index < pages.length && nowMs < endMs; nowMs = performance.now()) {
      const end = Math.min(index + PAGES_PER_LOOK, pages.length);
      for (; index < end; index += 1) look(hashOf(current, block, pages[index] ?? 0), index, nowMs);
    }
    await turn(undefined, { signal });
  }
}

function hashOf({ segments }: GuestMemory, { extents }: RamBlock, page: number): number {
  const offset = page * PAGE_BYTES;
  const extent = extents.find(({ blockOffset, bytes }) => offset >= blockOffset && offset < blockOffset + bytes);
  const segment = extent === undefined ? undefined : segments[extent.segment];
  if (extent === undefined || segment === undefined) return 0;
  return crc32(new Uint8Array(segment.buffer, extent.address + offset - extent.blockOffset, PAGE_BYTES));
}

function blockOf(memory: GuestMemory | null, name: string): RamBlock | null {
  return memory?.blocks.find((block) => block.name === name) ?? null;
}
