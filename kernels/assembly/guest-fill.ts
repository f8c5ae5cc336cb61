import { pageKey, shape, startLanes, step } from './guest-stream';

const PAGE_BYTES: usize = 4096;

/** Writes the initial content of a page: 4096 bytes that depend only on seed, page number and style. */
export function guestFillWrite(address: usize, page: u32, seed: u32, style: u32): void {
  const key = pageKey(seed, page, 0);
  let s0 = startLanes(key, page, 0);
  let s1 = startLanes(key, page, 1);
  let s2 = startLanes(key, page, 2);
  let s3 = startLanes(key, page, 3);
  const end = address + PAGE_BYTES;
  for (let at = address; at < end; at += 64) {
    s0 = step(s0);
    s1 = step(s1);
    s2 = step(s2);
    s3 = step(s3);
    v128.store(at, shape(s0, style));
    v128.store(at, shape(s1, style), 16);
    v128.store(at, shape(s2, style), 32);
    v128.store(at, shape(s3, style), 48);
  }
}

/** @returns 1 if the page holds exactly what `guestFillWrite` would write. */
export function guestFillMatches(address: usize, page: u32, seed: u32, style: u32): i32 {
  const key = pageKey(seed, page, 0);
  let s0 = startLanes(key, page, 0);
  let s1 = startLanes(key, page, 1);
  let s2 = startLanes(key, page, 2);
  let s3 = startLanes(key, page, 3);
  let difference = i32x4.splat(0);
  const end = address + PAGE_BYTES;
  for (let at = address; at < end; at += 64) {
    s0 = step(s0);
    s1 = step(s1);
    s2 = step(s2);
    s3 = step(s3);
    difference = v128.or(difference, v128.xor(v128.load(at), shape(s0, style)));
    difference = v128.or(difference, v128.xor(v128.load(at, 16), shape(s1, style)));
    difference = v128.or(difference, v128.xor(v128.load(at, 32), shape(s2, style)));
    difference = v128.or(difference, v128.xor(v128.load(at, 48), shape(s3, style)));
  }
  return v128.any_true(difference) ? 0 : 1;
}

/** @returns 1 if all bytes are zero; address and length are multiples of 8. */
export function guestIsZero(address: usize, bytes: u32): i32 {
  let at = address;
  const end = address + bytes;
  while (at + 64 <= end) {
    const first = v128.or(v128.load(at), v128.load(at, 16));
    const second = v128.or(v128.load(at, 32), v128.load(at, 48));
    if (v128.any_true(v128.or(first, second))) return 0;
    at += 64;
  }
  for (; at < end; at += 8) {
    if (load<u64>(at) != 0) return 0;
  }
  return 1;
}
