// The pseudo-random bytes of the synthetic guest's pages: sixteen parallel xorshift generators of 32 bits, seeded by a hash of
// guest, page and sequence number. src/engine/kernels/guest-reference.ts has the same algorithm in plain TypeScript.

const GOLDEN: u32 = 0x9e3779b9;

/** Styles of the bytes; GUEST_STYLE in src/engine/kernels/kernels.ts. */
export const STYLE_TEXT: u32 = 2;

@inline
export function scramble(value: u32): u32 {
  let x = value;
  x ^= x >> 16;
  x *= 0x7feb352d;
  x ^= x >> 15;
  x *= 0x846ca68b;
  return x ^ (x >> 16);
}

@inline
export function scrambleLanes(value: v128): v128 {
  let x = value;
  x = v128.xor(x, i32x4.shr_u(x, 16));
  x = i32x4.mul(x, i32x4.splat(0x7feb352d));
  x = v128.xor(x, i32x4.shr_u(x, 15));
  x = i32x4.mul(x, i32x4.splat(<i32>0x846ca68b));
  return v128.xor(x, i32x4.shr_u(x, 16));
}

@inline
export function pageKey(seed: u32, page: u32, seq: u64): u32 {
  const low = <u32>seq;
  const high = <u32>(seq >> 32);
  return scramble(scramble(scramble(scramble(seed + GOLDEN) ^ page) + low) ^ high);
}

/** Generators 4·group to 4·group + 3, before their first step. */
@inline
export function startLanes(key: u32, page: u32, group: i32): v128 {
  const numbers = i32x4.add(i32x4(1, 2, 3, 4), i32x4.splat(4 * group));
  const lanes = i32x4.add(i32x4.mul(numbers, i32x4.splat(<i32>GOLDEN)), i32x4.splat(<i32>key));
  return v128.or(scrambleLanes(v128.xor(scrambleLanes(lanes), i32x4.splat(<i32>page))), i32x4.splat(1));
}

@inline
export function step(value: v128): v128 {
  let x = value;
  x = v128.xor(x, i32x4.shl(x, 13));
  x = v128.xor(x, i32x4.shr_u(x, 17));
  return v128.xor(x, i32x4.shl(x, 5));
}

/** The bytes of a step, unchanged or as letters. The most frequent letters are blanks and the first ones of the table. */
@inline
export function shape(value: v128, style: u32): v128 {
  if (style != STYLE_TEXT) return value;
  const letters = i8x16(0x20, 0x65, 0x74, 0x61, 0x6f, 0x69, 0x6e, 0x73, 0x72, 0x68, 0x6c, 0x64, 0x63, 0x75, 0x3b, 0x0a);
  const skewed = v128.and(v128.and(value, i32x4.shr_u(value, 4)), i8x16.splat(15));
  return i8x16.swizzle(letters, skewed);
}
