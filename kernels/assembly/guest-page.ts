import { pageKey, scramble, scrambleLanes, shape, startLanes, step } from './guest-stream';

/*
 * A page that a vCPU wrote, little-endian:
 *
 *   0   magic   u64
 *   8   page    u64   number of this page
  *   16  seq     u64   number of writes of this page
 *   24  vcpu    u32
 *   28  zero    u32
 *   32  checksum u64  over the body and page, seq and vcpu
 *   40  zero    24 bytes
  *   64  body    4032 bytes that depend on seed, page and seq
 */
const MAGIC: u64 = 0x5952524546474150;
const PAGE_BYTES: usize = 4096;
const HEADER_BYTES: usize = 64;

/** Writes the whole page for its `seq`-th write (a whole number, at least 1). */
export function guestPageWrite(address: usize, page: u32, seq: f64, vcpu: u32, seed: u32, style: u32): void {
  const sequence = <u64>seq;
  const key = pageKey(seed, page, sequence);
  let s0 = step(startLanes(key, page, 0));
  let s1 = step(startLanes(key, page, 1));
  let s2 = step(startLanes(key, page, 2));
  let s3 = step(startLanes(key, page, 3));
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  const end = address + PAGE_BYTES;
  for (let at = address + HEADER_BYTES; at < end; at += 64) {
    s0 = step(s0);
    s1 = step(s1);
    s2 = step(s2);
    s3 = step(s3);
    const v0 = shape(s0, style);
    const v1 = shape(s1, style);
    const v2 = shape(s2, style);
    const v3 = shape(s3, style);
    v128.store(at, v0);
    v128.store(at, v1, 16);
    v128.store(at, v2, 32);
    v128.store(at, v3, 48);
    a0 = i32x4.add(a0, v0);
    a1 = i32x4.add(a1, v1);
    a2 = i32x4.add(a2, v2);
    a3 = i32x4.add(a3, v3);
    b0 = i32x4.add(b0, a0);
    b1 = i32x4.add(b1, a1);
    b2 = i32x4.add(b2, a2);
    b3 = i32x4.add(b3, a3);
  }
  let sums = v128.xor(a0, scrambleLanes(b0));
  sums = v128.xor(i32x4.add(scrambleLanes(sums), a1), scrambleLanes(b1));
  sums = v128.xor(i32x4.add(scrambleLanes(sums), a2), scrambleLanes(b2));
  sums = v128.xor(i32x4.add(scrambleLanes(sums), a3), scrambleLanes(b3));
  store<u64>(address, MAGIC);
  store<u64>(address, <u64>page, 8);
  store<u64>(address, sequence, 16);
  store<u64>(address, <u64>vcpu, 24);
  store<u64>(address, seal(sums, page, sequence, vcpu), 32);
  store<u64>(address, 0, 40);
  store<u64>(address, 0, 48);
  store<u64>(address, 0, 56);
}

/** @returns 1 if the page holds exactly what `guestPageWrite` would write. */
export function guestPageMatches(address: usize, page: u32, seq: f64, vcpu: u32, seed: u32, style: u32): i32 {
  const sequence = <u64>seq;
  const key = pageKey(seed, page, sequence);
  let s0 = step(startLanes(key, page, 0));
  let s1 = step(startLanes(key, page, 1));
  let s2 = step(startLanes(key, page, 2));
  let s3 = step(startLanes(key, page, 3));
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let difference = a0;
  const end = address + PAGE_BYTES;
  for (let at = address + HEADER_BYTES; at < end; at += 64) {
    s0 = step(s0);
    s1 = step(s1);
    s2 = step(s2);
    s3 = step(s3);
    const v0 = shape(s0, style);
    const v1 = shape(s1, style);
    const v2 = shape(s2, style);
    const v3 = shape(s3, style);
    difference = v128.or(difference, v128.xor(v128.load(at), v0));
    difference = v128.or(difference, v128.xor(v128.load(at, 16), v1));
    difference = v128.or(difference, v128.xor(v128.load(at, 32), v2));
    difference = v128.or(difference, v128.xor(v128.load(at, 48), v3));
    a0 = i32x4.add(a0, v0);
    a1 = i32x4.add(a1, v1);
    a2 = i32x4.add(a2, v2);
    a3 = i32x4.add(a3, v3);
    b0 = i32x4.add(b0, a0);
    b1 = i32x4.add(b1, a1);
    b2 = i32x4.add(b2, a2);
    b3 = i32x4.add(b3, a3);
  }
  let sums = v128.xor(a0, scrambleLanes(b0));
  sums = v128.xor(i32x4.add(scrambleLanes(sums), a1), scrambleLanes(b1));
  sums = v128.xor(i32x4.add(scrambleLanes(sums), a2), scrambleLanes(b2));
  sums = v128.xor(i32x4.add(scrambleLanes(sums), a3), scrambleLanes(b3));
  let header = load<u64>(address) ^ MAGIC;
  header |= load<u64>(address, 8) ^ <u64>page;
  header |= load<u64>(address, 16) ^ sequence;
  header |= load<u64>(address, 24) ^ <u64>vcpu;
  header |= load<u64>(address, 32) ^ seal(sums, page, sequence, vcpu);
  header |= load<u64>(address, 40) | load<u64>(address, 48) | load<u64>(address, 56);
  return header == 0 && !v128.any_true(difference) ? 1 : 0;
}

@inline
function seal(sums: v128, page: u32, seq: u64, vcpu: u32): u64 {
  const start = pageKey(vcpu, page, seq);
  const low = scramble(i32x4.extract_lane(sums, 0) ^ scramble(i32x4.extract_lane(sums, 1) + start));
  const high = scramble(i32x4.extract_lane(sums, 2) ^ scramble(i32x4.extract_lane(sums, 3) ^ start));
  return (<u64>high << 32) | <u64>low;
}
