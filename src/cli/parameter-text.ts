import { numberOf, parseExactJson } from './exact-json.ts';

/* Values of migration parameters as they are typed and printed. Whether a value may be is for the service to say. */

/** Parameters that count bytes, and so take a size with a suffix. */
const SIZES: ReadonlySet<string> = new Set([
  'max-bandwidth',
  'avail-switchover-bandwidth',
  'max-postcopy-bandwidth',
  'xbzrle-cache-size',
]);

const UNIT_BITS: Readonly<Record<string, bigint>> = { '': 0n, k: 10n, M: 20n, G: 30n, T: 40n };

const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ['on', true],
  ['true', true],
  ['yes', true],
  ['off', false],
  ['false', false],
  ['no', false],
]);

/**
 * What a text stands for, by the type of the value that the parameter has now: sizes take a suffix (k, M, G, T: powers
 * of 1024), switches on or off. What is not understood is handed on as text, for the service to refuse.
 */
export function parameterValue(name: string, text: string, now: unknown): unknown {
  if (typeof now === 'boolean') return SWITCHES.get(text) ?? text;
  if (typeof now === 'string') return text;
  if (numberOf(now) !== null) return integerOf(text, SIZES.has(name)) ?? text;
  return jsonOf(text);
}

/** A value on one line: a list as JSON. */
export function parameterText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The integer with all its digits, or null. */
function integerOf(text: string, takesSuffix: boolean): unknown {
  const [, sign = '', digits, suffix = ''] = /^(-?)(\d+|0x[0-9a-fA-F]+)([kMGT]?)$/.exec(text) ?? [];
  if (digits === undefined || (suffix !== '' && !takesSuffix)) return null;
  return JSON.rawJSON(`${sign}${BigInt(digits) << (UNIT_BITS[suffix] ?? 0n)}`);
}

/** A structured value; a text that is no JSON stands for itself. */
function jsonOf(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    return text;
  }
}
