import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instantiateKernels } from '../../../src/engine/kernels/kernels.ts';
import { createGuestMemory, isSameMemory } from '../../../src/engine/memory/guest-memory.ts';
import { DIRTY_LOG_ADDRESS, RAM_ADDRESS } from '../../../src/engine/memory/layout.ts';
import { giveBackMemory } from '../../../src/engine/memory/memory-advice.ts';

const MIB = 2 ** 20;

/** The resident memory of this process, in bytes. */
function residentBytes(): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
}

describe('memory that is returned to the system', () => {
  it('contains zeros in every segment, and is no longer resident', () => {
    const memory = createGuestMemory([{ name: 'ram', bytes: 128 * MIB }], 64 * MIB);
    const areas = memory.segments.map(({ buffer }) => new Uint8Array(buffer, DIRTY_LOG_ADDRESS));
    for (const area of areas) area.fill(0x5a);
    const before = residentBytes();
    expect(giveBackMemory(memory)).toBe(true);
    expect(before - residentBytes()).toBeGreaterThan(120 * MIB);
    for (const area of areas) expect(Buffer.compare(area, new Uint8Array(area.length))).toBe(0);
  });

  it('leaves existing kernels unchanged', () => {
    const memory = createGuestMemory([{ name: 'ram', bytes: MIB }]);
    const [segment] = memory.segments as [WebAssembly.Memory];
    const kernels = instantiateKernels(segment);
    const own = Uint8Array.from(new Uint8Array(segment.buffer, 0, DIRTY_LOG_ADDRESS));
    kernels.guestFillWrite(RAM_ADDRESS, 3, 4, 2);
    const page = Uint8Array.from(new Uint8Array(segment.buffer, RAM_ADDRESS, 4096));
    expect(giveBackMemory(memory)).toBe(true);
    expect(Buffer.compare(new Uint8Array(segment.buffer, 0, DIRTY_LOG_ADDRESS), own)).toBe(0);
    kernels.guestFillWrite(RAM_ADDRESS, 3, 4, 2);
    expect(Buffer.compare(new Uint8Array(segment.buffer, RAM_ADDRESS, 4096), page)).toBe(0);
  });

  it('is reported as not returned if the system cannot take it', () => {
    // Node's own small buffers are not whole pages, so the call fails.
    const bytes = new Uint8Array(new SharedArrayBuffer(DIRTY_LOG_ADDRESS + 8192 + 100));
    const memory = { segments: [{ buffer: bytes.buffer } as unknown as WebAssembly.Memory], blocks: [] };
    expect(giveBackMemory(memory)).toBe(false);
  });
});

describe('the comparison of two memories', () => {
  it('finds the same memory behind other objects, and changes nothing', () => {
    const memory = createGuestMemory([{ name: 'ram', bytes: 2 * MIB }], MIB);
    const other = createGuestMemory([{ name: 'ram', bytes: 2 * MIB }], MIB);
    const clone = structuredClone(memory);
    expect(isSameMemory(memory, clone)).toBe(true);
    expect(isSameMemory(clone, memory)).toBe(true);
    expect(isSameMemory(memory, other)).toBe(false);
    expect(isSameMemory(memory, { ...memory, segments: [memory.segments[0]!, other.segments[1]!] })).toBe(false);
    expect(isSameMemory(memory, { ...memory, segments: memory.segments.slice(1) })).toBe(false);
    expect(isSameMemory({ segments: [], blocks: [] }, { segments: [], blocks: [] })).toBe(false);
    const [segment] = memory.segments as [WebAssembly.Memory];
    expect(new Uint8Array(segment.buffer).every((byte) => byte === 0)).toBe(true);
  });
});
