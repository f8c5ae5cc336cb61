import { PAGE_BYTES } from '../memory/layout.ts';
import { GUEST_PAGE, GUEST_STYLE, type GuestStyle } from './kernels.ts';

/*
 * The synthetic guest's pages in plain TypeScript: the reference for tests of the kernels, and the source of the expected
 * contents when the guest's self-check reports a wrong page.
 */
const LANES = 16;
const GOLDEN = 0x9e3779b9;
const LETTERS = new TextEncoder().encode(' etaoinsrhldcu;\n');

/** Identity of a written page; `seq` counts its writes, from 1 to 2^53 - 1. */
export type GuestPageIdentity = { readonly page: number; readonly seq: number; readonly vcpu: number };

/** The 4096 bytes that `page` holds before its first write. */
export function referenceFill(page: number, seed: number, style: GuestStyle): Uint8Array {
  return streamBytes({ key: pageKey(seed, page, 0), page, style, steps: PAGE_BYTES / (LANES * 4) });
}

/** The 4096 bytes that a page holds after its `seq`-th write. */
export function referencePage(identity: GuestPageIdentity, seed: number, style: GuestStyle): Uint8Array {
  const { page, seq, vcpu } = identity;
  const bytes = streamBytes({ key: pageKey(seed, page, seq), page, style, steps: PAGE_BYTES / (LANES * 4) });
  const view = new DataView(bytes.buffer);
  bytes.fill(0, 0, GUEST_PAGE.bodyOffset);
  view.setBigUint64(0, GUEST_PAGE.magic, true);
  view.setBigUint64(GUEST_PAGE.pageOffset, BigInt(page), true);
  view.setBigUint64(GUEST_PAGE.seqOffset, BigInt(seq), true);
  view.setBigUint64(GUEST_PAGE.vcpuOffset, BigInt(vcpu), true);
  view.setBigUint64(GUEST_PAGE.checksumOffset, referenceChecksum(bytes, identity), true);
  return bytes;
}

/** Checksum over a page's body and identity, as stored in its header. */
export function referenceChecksum(bytes: Uint8Array, { page, seq, vcpu }: GuestPageIdentity): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = new Uint32Array(LANES);
  const second = new Uint32Array(LANES);
  for (let offset = GUEST_PAGE.bodyOffset; offset < PAGE_BYTES; offset += LANES * 4) {
    for (let lane = 0; lane < LANES; lane += 1) {
      first[lane]! += view.getUint32(offset + lane * 4, true);
      second[lane]! += first[lane]!;
    }
  }
  const sums = [0, 1, 2, 3].map((lane) => foldLane(first, second, lane));
  const start = pageKey(vcpu, page, seq);
  const low = scramble(sums[0]! ^ scramble((sums[1]! + start) >>> 0));
  const high = scramble(sums[2]! ^ scramble((sums[3]! ^ start) >>> 0));
  return (BigInt(high) << 32n) | BigInt(low);
}

function foldLane(first: Uint32Array, second: Uint32Array, lane: number): number {
  let sum = (first[lane]! ^ scramble(second[lane]!)) >>> 0;
  for (let at = lane + 4; at < LANES; at += 4) sum = ((scramble(sum) + first[at]!) ^ scramble(second[at]!)) >>> 0;
  return sum;
}

type Stream = { readonly key: number; readonly page: number; readonly style: GuestStyle; readonly steps: number };

function streamBytes({ key, page, style, steps }: Stream): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(steps * LANES * 4);
  const view = new DataView(bytes.buffer);
  for (let lane = 0; lane < LANES; lane += 1) {
    let state = (scramble((scramble((Math.imul(lane + 1, GOLDEN) + key) >>> 0) ^ page) >>> 0) | 1) >>> 0;
    for (let step = 0; step < steps; step += 1) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      view.setUint32((step * LANES + lane) * 4, state >>> 0, true);
    }
  }
  return style === GUEST_STYLE.text ? letters(bytes) : bytes;
}

/** Each letter is chosen by the AND of two nibbles, so a few letters make up most of the text, as in real text. */
function letters(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes.map((byte) => LETTERS[byte & (byte >> 4) & 15]!);
}

function pageKey(seed: number, page: number, seq: number): number {
  const low = seq >>> 0;
  const high = Math.floor(seq / 2 ** 32);
  const first = scramble((scramble((seed + GOLDEN) >>> 0) ^ page) >>> 0);
  return scramble((scramble((first + low) >>> 0) ^ high) >>> 0);
}

function scramble(value: number): number {
  let x = value >>> 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}
