import { parseSize, SIZE_FORM } from '../text/size.ts';
import { numberOf, parseExactJson } from './json-values.ts';

/* Values of migration parameters as they are typed and printed. Whether a value may be is for the service to say. */

/** Parameters that count bytes, and so take a size with a suffix. */
const SIZES: ReadonlySet<string> = new Set([
  'max-bandwidth',
  'avail-switchover-bandwidth',
  'max-postcopy-bandwidth',
  'xbzrle-cache-size',
]);

const BEYOND_64_BITS = String(2n ** 64n);

/** What the other integers count. */
const UNITS: Readonly<Record<string, string>> = {
  'announce-initial': 'milliseconds',
  'announce-max': 'milliseconds',
  'announce-step': 'milliseconds',
  'downtime-limit': 'milliseconds',
  'x-checkpoint-delay': 'milliseconds',
  'x-vcpu-dirty-limit-period': 'milliseconds',
  'throttle-trigger-threshold': 'percent',
  'cpu-throttle-initial': 'percent',
  'cpu-throttle-increment': 'percent',
  'max-cpu-throttle': 'percent',
  'vcpu-dirty-limit': 'MB/s',
};

const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ['on', true],
  ['true', true],
  ['yes', true],
  ['off', false],
  ['false', false],
  ['no', false],
]);

/**
 * What a text stands for, by the type of the value that the parameter has now: sizes as `src/text/size.ts` reads them,
 * switches on or off. What is not understood is handed on as text, for the service to refuse.
 */
export function parameterValue(name: string, text: string, now: unknown): unknown {
  if (typeof now === 'boolean') return SWITCHES.get(text) ?? text;
  if (typeof now === 'string') return text;
  if (numberOf(now) !== null) return integerOf(text, SIZES.has(name)) ?? text;
  return jsonOf(text);
}

/** How a value has to be written that was handed on as text although the parameter takes none; null for all others. */
export function parameterHint(name: string, value: unknown, now: unknown): string | null {
  if (typeof value !== 'string' || now === undefined || typeof now === 'string') return null;
  if (typeof now === 'boolean') return `${name} is on or off`;
  if (numberOf(now) === null) return `${name} is a list in JSON`;
  if (SIZES.has(name)) return sizeHint(name);
  const unit = UNITS[name];
  return unit === undefined
    ? `${name} is a whole number without a unit`
    : `${name} is a whole number of ${unit}, without a unit`;
}

/** How a size has to be written. */
export function sizeHint(name: string): string {
  return `${name} is ${SIZE_FORM}`;
}

/** A value on one line: a list as JSON. */
export function parameterText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The integer with all its digits, or null. */
function integerOf(text: string, isSize: boolean): unknown {
  const size = isSize ? parseSize(text, 'B') : null;
  if (typeof size === 'bigint') return JSON.rawJSON(String(size));
  // A number, so that the service refuses it for its range.
  if (size === 'out-of-range' && !text.includes('-')) return JSON.rawJSON(BEYOND_64_BITS);
  const [, sign = '', digits] = /^(-?)(\d{1,64}|0x[0-9a-fA-F]{1,64})$/.exec(text) ?? [];
  return digits === undefined ? null : JSON.rawJSON(`${sign}${BigInt(digits)}`);
}

/** A structured value; a text that is no JSON stands for itself. */
function jsonOf(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    return text;
  }
}
