import { parseSize, SIZE_FORM } from '../text/size.ts';
import { numberOf, parseExactJson } from './json-values.ts';

/* Values of migration parameters as text of the command line. The service checks them. */

/** Parameters in bytes, which accept a size with a suffix. */
const SIZES: ReadonlySet<string> = new Set([
  'max-bandwidth',
  'avail-switchover-bandwidth',
  'max-postcopy-bandwidth',
  'xbzrle-cache-size',
]);

const BEYOND_64_BITS = String(2n ** 64n);

/** Units of the other integer parameters. */
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
 * The value of a text, by the type of the current value of the parameter: sizes as `src/text/size.ts` reads them, on and off
 * for booleans. A text without a valid value is sent unchanged, and the service refuses it.
 */
export function parameterValue(name: string, text: string, now: unknown): unknown {
  if (typeof now === 'boolean') return SWITCHES.get(text) ?? text;
  if (typeof now === 'string') return text;
  if (numberOf(now) !== null) return integerOf(text, SIZES.has(name)) ?? text;
  return jsonOf(text);
}

/** A hint for the form of a value that was sent as text although the parameter is not a text; null for all other values. */
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

/** A hint for the form of a size. */
export function sizeHint(name: string): string {
  return `${name} is ${SIZE_FORM}`;
}

/** A value as text of one line; a list as JSON. */
export function parameterText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The integer with all its digits, or null. */
function integerOf(text: string, isSize: boolean): unknown {
  const size = isSize ? parseSize(text, 'B') : null;
  if (typeof size === 'bigint') return JSON.rawJSON(String(size));
  // A number beyond 64 bits, so that the service refuses it for its range.
  if (size === 'out-of-range' && !text.includes('-')) return JSON.rawJSON(BEYOND_64_BITS);
  const [, sign = '', digits] = /^(-?)(\d{1,64}|0x[0-9a-fA-F]{1,64})$/.exec(text) ?? [];
  return digits === undefined ? null : JSON.rawJSON(`${sign}${BigInt(digits)}`);
}

/** A value in JSON; a text that is not JSON stays a text. */
function jsonOf(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    return text;
  }
}
