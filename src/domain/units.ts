const SIZE = /^(?:(0x[0-9a-fA-F]{1,16})|(\d{1,20})([kKmMgGtTpPeE]?)[bB]?)$/;
const SHIFTS: Readonly<Record<string, bigint>> = { k: 10n, m: 20n, g: 30n, t: 40n, p: 50n, e: 60n };

/** Bytes of a size such as `4096`, `0x1000` or `16M` (powers of 1024; no suffix behind hexadecimal), or null. */
export function parseSize(text: string): bigint | null {
  const match = SIZE.exec(text);
  if (match === null) return null;
  const [, hexadecimal, decimal, suffix] = match;
  if (hexadecimal !== undefined) return BigInt(hexadecimal);
  return BigInt(decimal!) << (SHIFTS[(suffix ?? '').toLowerCase()] ?? 0n);
}
