import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { referenceChecksum, referenceFill, referencePage } from '../../src/engine/kernels/guest-reference.ts';
import { GUEST_PAGE, GUEST_STYLE, type GuestStyle, instantiateKernels } from '../../src/engine/kernels/kernels.ts';

const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const kernels = instantiateKernels(memory);
const ADDRESS = 65536 + 4096;
const pageBytes = new Uint8Array(memory.buffer, ADDRESS, 4096);

const uint32 = () => fc.integer({ min: 0, max: 2 ** 32 - 1 });
const seqs = () => fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
const styles = () => fc.constantFrom<GuestStyle>(GUEST_STYLE.random, GUEST_STYLE.text);
const identities = () => fc.record({ page: uint32(), seq: seqs(), vcpu: fc.integer({ min: 0, max: 255 }) });

describe('guest page kernels', () => {
  it('write the bytes of the reference for a written page', () => {
    fc.assert(
      fc.property(identities(), uint32(), styles(), (identity, seed, style) => {
        kernels.guestPageWrite(ADDRESS, identity.page, identity.seq, identity.vcpu, seed, style);
        expect(Buffer.compare(pageBytes, referencePage(identity, seed, style))).toBe(0);
      }),
    );
  });

  it('write the bytes of the reference for a page before its first write', () => {
    fc.assert(
      fc.property(uint32(), uint32(), styles(), (page, seed, style) => {
        kernels.guestFillWrite(ADDRESS, page, seed, style);
        expect(Buffer.compare(pageBytes, referenceFill(page, seed, style))).toBe(0);
        expect(kernels.guestFillMatches(ADDRESS, page, seed, style)).toBe(1);
      }),
    );
  });

  it('change no byte outside the page', () => {
    const all = new Uint8Array(memory.buffer);
    all.fill(0xa5);
    kernels.guestPageWrite(ADDRESS, 1, 2, 3, 4, GUEST_STYLE.random);
    kernels.guestFillWrite(ADDRESS, 1, 4, GUEST_STYLE.random);
    const touched = all.findIndex((byte) => byte !== 0xa5);
    const last = all.findLastIndex((byte) => byte !== 0xa5);
    expect(touched).toBeGreaterThanOrEqual(ADDRESS);
    expect(last).toBeLessThan(ADDRESS + 4096);
  });

  it('find every flipped bit of a written page', () => {
    fc.assert(
      fc.property(identities(), styles(), fc.nat(4095), fc.nat(7), (identity, style, offset, bit) => {
        const { page, seq, vcpu } = identity;
        kernels.guestPageWrite(ADDRESS, page, seq, vcpu, 7, style);
        expect(kernels.guestPageMatches(ADDRESS, page, seq, vcpu, 7, style)).toBe(1);
        pageBytes[offset]! ^= 1 << bit;
        expect(kernels.guestPageMatches(ADDRESS, page, seq, vcpu, 7, style)).toBe(0);
      }),
    );
  });

  it('find every flipped bit of a page without writes', () => {
    fc.assert(
      fc.property(uint32(), styles(), fc.nat(4095), fc.nat(7), (page, style, offset, bit) => {
        kernels.guestFillWrite(ADDRESS, page, 9, style);
        pageBytes[offset]! ^= 1 << bit;
        expect(kernels.guestFillMatches(ADDRESS, page, 9, style)).toBe(0);
      }),
    );
  });

  it('distinguish pages that differ only in number, sequence, vCPU or seed', () => {
    kernels.guestPageWrite(ADDRESS, 5, 6, 1, 7, GUEST_STYLE.random);
    expect(kernels.guestPageMatches(ADDRESS, 4, 6, 1, 7, GUEST_STYLE.random)).toBe(0);
    expect(kernels.guestPageMatches(ADDRESS, 5, 5, 1, 7, GUEST_STYLE.random)).toBe(0);
    expect(kernels.guestPageMatches(ADDRESS, 5, 6, 0, 7, GUEST_STYLE.random)).toBe(0);
    expect(kernels.guestPageMatches(ADDRESS, 5, 6, 1, 8, GUEST_STYLE.random)).toBe(0);
  });

  it('change nearly every byte of the body with each write', () => {
    const first = referencePage({ page: 3, seq: 1, vcpu: 0 }, 1, GUEST_STYLE.random);
    const second = referencePage({ page: 3, seq: 2, vcpu: 0 }, 1, GUEST_STYLE.random);
    const same = first
      .subarray(GUEST_PAGE.bodyOffset)
      .filter((byte, at) => byte === second[at + GUEST_PAGE.bodyOffset]);
    expect(same.length).toBeLessThan(64);
  });

  it('create noise that is incompressible and text that is compressible', () => {
    const noise = Buffer.concat([1, 2, 3, 4].map((page) => referenceFill(page, 1, GUEST_STYLE.random)));
    const text = Buffer.concat([1, 2, 3, 4].map((page) => referenceFill(page, 1, GUEST_STYLE.text)));
    expect(deflateRawSync(noise).length).toBeGreaterThan(noise.length * 0.99);
    expect(deflateRawSync(text).length).toBeLessThan(text.length * 0.6);
  });

  it('store a checksum that any change of a body byte invalidates', () => {
    const identity = { page: 3, seq: 1, vcpu: 0 };
    const bytes = referencePage(identity, 1, GUEST_STYLE.random);
    const sealed = referenceChecksum(bytes, identity);
    fc.assert(
      fc.property(fc.integer({ min: 64, max: 4095 }), fc.integer({ min: 1, max: 255 }), (offset, change) => {
        const changed = Uint8Array.from(bytes);
        changed[offset]! ^= change;
        expect(referenceChecksum(changed, identity)).not.toBe(sealed);
      }),
    );
  });
});
