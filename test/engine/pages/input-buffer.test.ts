import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createGuestMemory } from '../../../src/engine/memory/guest-memory.ts';
import { STAGING_ADDRESS } from '../../../src/engine/memory/layout.ts';
import { InputBuffer } from '../../../src/engine/pages/input-buffer.ts';
import { KNOWN_DESCRIPTION_BYTES_MAX } from '../../../src/engine/stream/constants.ts';

const segment = createGuestMemory([{ name: 'a', bytes: 4096 }]).segments[0] as WebAssembly.Memory;

function put(buffer: InputBuffer, bytes: Uint8Array): number {
  const room = buffer.room();
  const count = Math.min(room.length, bytes.length);
  room.set(bytes.subarray(0, count));
  buffer.received(count);
  return count;
}

describe('the input buffer', () => {
  it('returns its bytes in order for any sequence of puts, takes and moves', () => {
    const step = fc.record({ put: fc.nat(700_000), take: fc.nat(700_000), move: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const buffer = new InputBuffer();
        const expected: Buffer[] = [];
        let written = 0;
        for (const { put: count, take, move } of steps) {
          const bytes = Buffer.alloc(count, written % 251);
          const taken = put(buffer, bytes);
          expected.push(bytes.subarray(0, taken));
          written += 1;
          if (move) buffer.moveTo(segment);
          buffer.take(Math.min(take, buffer.length));
          const rest = Buffer.concat(expected).subarray(buffer.takenBytes);
          expect(rest.equals(buffer.view())).toBe(true);
        }
      }),
      { seed: 3, numRuns: 60 },
    );
  });

  it('always has space while it contains at most the longest element', () => {
    const buffer = new InputBuffer();
    const longest = KNOWN_DESCRIPTION_BYTES_MAX + 64;
    for (let left = longest; left > 0 && buffer.room().length > 0; ) left -= put(buffer, Buffer.alloc(left));

    expect(buffer.length).toBe(longest);
    expect(buffer.room().length).toBeGreaterThan(0);
  });

  it('returns the next word only when all its bytes are present', () => {
    const buffer = new InputBuffer();
    put(buffer, Buffer.from('00000001800000', 'hex'));
    expect(buffer.peekWord()).toBeNull();
    put(buffer, Buffer.from('28', 'hex'));

    expect(buffer.peekWord()).toEqual({ high: 1, low: 0x80000028 });
    expect(buffer.takenBytes).toBe(0);
  });

  it('is in the staging area of its present segment', () => {
    const buffer = new InputBuffer();
    put(buffer, Buffer.from('hello'));
    buffer.take(1);
    buffer.moveTo(segment);

    expect(buffer.address).toBe(STAGING_ADDRESS);
    expect(Buffer.from(buffer.view()).toString()).toBe('ello');
    expect(buffer.takenBytes).toBe(1);
  });
});
