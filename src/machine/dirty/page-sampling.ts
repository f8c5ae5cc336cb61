import { setImmediate as nextLoop, setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import type { DirtyRateFigures, DirtyRatePlan } from '../../domain/ports/hypervisor.ts';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMemory, RamBlock } from '../../engine/memory/machine-state.ts';

/** Smaller RAM blocks are not measured. */
const BLOCK_BYTES_MIN = 128 * 2 ** 10;
const GIB = 2 ** 30;
/** The main thread hashes in slices of this length, and reads the clock after every PAGES_PER_LOOK pages. */
const SLICE_MS = 2;
const PAGES_PER_LOOK = 32;

export type PageSamplingOptions = {
  /** Returns the guest's present memory, which a load may replace; null if there is none. */
  readonly memory: () => GuestMemory | null;
  readonly plan: DirtyRatePlan;
  readonly signal: AbortSignal;
};

/** Random pages of one block, with their first hashes and the times at which they were taken. */
type Samples = {
  readonly name: string;
  readonly bytes: number;
  readonly pages: Uint32Array;
  readonly hashes: Uint32Array;
  readonly takenMs: Float64Array;
};

/**
 * Hashes random pages at the start and at the end: a page counts once, even if it was written several times. The two
 * passes over the samples may differ in length, so the elapsed time is the mean time between the two hashes of a page.
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

/** Hashes each page, in slices between which other work runs. Ends early if the block no longer exists. */
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
    await nextLoop(undefined, { signal });
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

/** Clock and timer; milliseconds. */
type Time = {
  readonly now: () => number;
  readonly sleep: (ms: number, value: undefined, options: { readonly signal: AbortSignal }) => Promise<unknown>;
};

/**
 * Resolves when `ms` milliseconds have passed, not earlier: a timer may fire up to 1 ms early, and a measurement of one
 * second would then be reported as 0 seconds. Rejects with the signal's reason when it aborts.
 * @returns the milliseconds that have passed.
 */
export async function timePassed(
  ms: number,
  signal: AbortSignal,
  time: Time = { now: () => performance.now(), sleep },
): Promise<number> {
  const begunMs = time.now();
  for (let passedMs = 0; ; passedMs = time.now() - begunMs) {
    if (passedMs >= ms) return passedMs;
    await time.sleep(Math.ceil(ms - passedMs), undefined, { signal });
  }
}
