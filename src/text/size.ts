/*
 * Sizes as text, for the flags of the service, its text monitor, its addresses and the client. They have QEMU's form: `64M`,
 * `1.5G`, `.5k`, `0x1000`. A suffix is a power of 1024, in upper or lower case; B is bytes. A fraction that is not zero needs a
 * unit above a byte; it is rounded to whole bytes, a half up. A hexadecimal number has neither fraction nor suffix.
 */

/** The form of a size, for error messages. */
export const SIZE_FORM = 'a size such as 4096, 512k or 1.5G (suffixes k, M, G, T, P and E: powers of 1024)';

const UNITS = 'bkmgtpe';
const SIZE_MAX = 2n ** 64n - 1n;
/** Maximum number of digits: more do not change a double. */
const DIGITS_MAX = 64;
const DECIMAL = new RegExp(`^(\\d{0,${DIGITS_MAX}})(?:\\.(\\d{0,${DIGITS_MAX}}))?([${UNITS}])?$`, 'i');
const HEXADECIMAL = /^0x[0-9a-f]{1,64}$/i;

/** The size in bytes; `out-of-range` if it is negative or needs more than 64 bits; null if the text is not a size. */
export function parseSize(text: string, defaultUnit: 'B' | 'M'): bigint | 'out-of-range' | null {
  const [, sign, given = ''] = /^[ \t\n\v\f\r]*([+-]?)(.*)$/s.exec(text) ?? [];
  const size = unsignedSize(given, defaultUnit);
  return sign === '-' && size !== null ? 'out-of-range' : size;
}

function unsignedSize(given: string, defaultUnit: 'B' | 'M'): bigint | 'out-of-range' | null {
  if (HEXADECIMAL.test(given)) return inRange(BigInt(given) * bytesOf(defaultUnit));
  const match = DECIMAL.exec(given);
  if (match === null) return null;
  const [, whole = '', fraction = '', unit = defaultUnit] = match;
  if (whole === '' && fraction === '') return null;
  const bytes = bytesOf(unit);
  const scale = 10n ** BigInt(fraction.length);
  const part = BigInt(fraction === '' ? 0 : fraction);
  if (bytes === 1n && part > 0n) return null;
  const rounded = (2n * part * bytes + scale) / (2n * scale);
  return inRange(BigInt(whole === '' ? 0 : whole) * bytes + rounded);
}

function bytesOf(unit: string): bigint {
  return 1024n ** BigInt(UNITS.indexOf(unit.toLowerCase()));
}

function inRange(bytes: bigint): bigint | 'out-of-range' {
  return bytes <= SIZE_MAX ? bytes : 'out-of-range';
}
