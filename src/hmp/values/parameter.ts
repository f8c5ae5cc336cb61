import { DomainError } from '../../commands/errors.ts';
import { MigrateSetParameters } from '../../commands/schemas/settings.ts';
import { didYouMean } from '../../text/nearest.ts';
import { parseSize } from '../../text/size.ts';
import { quoted } from '../printable.ts';
import { exact } from './exact.ts';

/*
 * What a word means as the value of a parameter. Which values a parameter takes is the command's to say; here is only how
 * QEMU reads them: most integers are sizes with the byte as their unit, the two bandwidths before the switchover have
 * MiB as theirs, and those of 8 and 32 bits are plain integers, in which a leading zero makes an octal number.
 */

type Schema = { readonly type?: string; readonly enum?: readonly string[]; readonly anyOf?: readonly Schema[] };

const SCHEMAS = MigrateSetParameters.properties as unknown as Readonly<Record<string, Schema>>;

/** Every parameter, in the order of the schema. */
export const PARAMETER_NAMES: readonly string[] = Object.keys(SCHEMAS);

const MEBIBYTES: ReadonlySet<string> = new Set(['max-bandwidth', 'avail-switchover-bandwidth']);
const PLAIN: ReadonlySet<string> = new Set([
  'throttle-trigger-threshold',
  'cpu-throttle-initial',
  'cpu-throttle-increment',
  'max-cpu-throttle',
  'x-checkpoint-delay',
  'multifd-channels',
  'multifd-zlib-level',
  'multifd-qatzip-level',
  'multifd-zstd-level',
]);
/** Through this door QEMU takes no more than 63 bits for these. */
const SIGNED: ReadonlySet<string> = new Set([...MEBIBYTES, 'xbzrle-cache-size']);
const SIGNED_MAX = 2n ** 63n - 1n;

const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ...['on', 'yes', 'true', 'y'].map((word) => [word, true] as const),
  ...['off', 'no', 'false', 'n'].map((word) => [word, false] as const),
]);

/** @throws DomainError if there is no such parameter, or the text is no value of its type. */
export function parameterValue(name: string, text: string): unknown {
  const schema = Object.hasOwn(SCHEMAS, name) ? SCHEMAS[name] : undefined;
  if (schema === undefined) {
    throw invalid('unknown_member', `There is no parameter ${quoted(name)}.${didYouMean(name, PARAMETER_NAMES)}`);
  }
  if (schema.type === 'array') throw invalid('wrong_type', `${name} can only be set over HTTP or QMP.`);
  if (schema.type === 'boolean') return switchOf(name, text);
  if (schema.type === 'integer') return exact(PLAIN.has(name) ? plainOf(name, text) : sizeOf(name, text));
  return text;
}

/** Values that the last word of a line may become. */
export function parameterWords(name: string): readonly string[] {
  const schema = Object.hasOwn(SCHEMAS, name) ? SCHEMAS[name] : undefined;
  return schema?.type === 'boolean' ? ['on', 'off'] : (schema?.enum ?? []);
}

function switchOf(name: string, text: string): boolean {
  const value = SWITCHES.get(text);
  if (value === undefined) throw invalid('wrong_type', `${name} is ${quoted(text)}; it has to be on or off.`);
  return value;
}

function plainOf(name: string, text: string): bigint {
  const match = /^[ \t\n\v\f\r]*([+-]?)(0x[0-9a-f]{1,64}|0[0-7]{0,64}|[1-9]\d{0,63})$/i.exec(text);
  if (match === null) throw invalid('wrong_type', `${name} is ${quoted(text)}; it has to be an integer.`);
  const [, sign, digits = ''] = match;
  const value = BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return sign === '-' ? -value : value;
}

function sizeOf(name: string, text: string): bigint {
  const unit = MEBIBYTES.has(name) ? 'M' : 'B';
  const value = parseSize(text, unit);
  if (value === null) {
    const plain = unit === 'M' ? 'MiB unless it says otherwise' : 'bytes or plain numbers unless it says otherwise';
    throw invalid('wrong_type', `${name} is ${quoted(text)}; it has to be a size such as 64M or 1.5G, in ${plain}.`);
  }
  const max = SIGNED.has(name) ? SIGNED_MAX : null;
  if (value === 'out-of-range' || (max !== null && value > max)) {
    throw invalid('value_out_of_range', `${name} is ${quoted(text)}; it may be from 0 to ${max ?? 2n ** 64n - 1n}.`);
  }
  return value;
}

function invalid(code: 'unknown_member' | 'wrong_type' | 'value_out_of_range', message: string): DomainError {
  return new DomainError(code, message);
}
