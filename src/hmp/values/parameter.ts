import { DomainError } from '../../commands/errors.ts';
import { MigrateSetParameters } from '../../commands/schemas/settings.ts';
import type { IntegerDeclaration } from '../../domain/settings/declaration.ts';
import { isParameter, parameterDeclaration } from '../../domain/settings/declared-settings.ts';
import { didYouMean } from '../../text/nearest.ts';
import { parseSize } from '../../text/size.ts';
import { quoted } from '../printable.ts';
import { exact } from './exact.ts';

/*
 * Reads the value of a parameter in a line of the text monitor. The command checks which values are allowed; this file
 * has only QEMU's reading of the text. Integers of 64 bits are sizes, in bytes or in MiB without a suffix. Integers of
 * 8 and 32 bits take no suffix, and a leading zero makes them octal.
 */

/** Every parameter, in the order of the members of migrate-set-parameters. */
export const PARAMETER_NAMES: readonly string[] = Object.keys(MigrateSetParameters.properties);

const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ...['on', 'yes', 'true', 'y'].map((word) => [word, true] as const),
  ...['off', 'no', 'false', 'n'].map((word) => [word, false] as const),
]);

/** @throws DomainError if there is no parameter of this name, or the text is not a value of its type. */
export function parameterValue(name: string, text: string): unknown {
  if (!isParameter(name)) {
    throw invalid('unknown_member', `There is no parameter ${quoted(name)}.${didYouMean(name, PARAMETER_NAMES)}`);
  }
  const declaration = parameterDeclaration(name);
  switch (declaration.type) {
    case 'bitmap-mapping':
      throw invalid('wrong_type', `${name} can only be set over HTTP or QMP.`);
    case 'bool':
      return switchOf(name, text);
    case 'enum':
    case 'string-or-null':
      return text;
    case 'uint8':
    case 'uint32':
      return exact(plainOf(name, text));
    default:
      return exact(sizeOf(name, text, declaration));
  }
}

/** The values with which the last word of a line can be completed. */
export function parameterWords(name: string): readonly string[] {
  if (!isParameter(name)) return [];
  const declaration = parameterDeclaration(name);
  if (declaration.type === 'bool') return ['on', 'off'];
  return declaration.type === 'enum' ? declaration.values : [];
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

function sizeOf(name: string, text: string, { isInMebibytes = false, monitorMax }: IntegerDeclaration): bigint {
  const value = parseSize(text, isInMebibytes ? 'M' : 'B');
  if (value === null) {
    const plain = isInMebibytes ? 'MiB unless it says otherwise' : 'bytes or plain numbers unless it says otherwise';
    throw invalid('wrong_type', `${name} is ${quoted(text)}; it has to be a size such as 64M or 1.5G, in ${plain}.`);
  }
  const max = monitorMax ?? UINT64_MAX;
  if (value === 'out-of-range' || value > max) {
    throw invalid('value_out_of_range', `${name} is ${quoted(text)}; it may be from 0 to ${max}.`);
  }
  return value;
}

const UINT64_MAX = 2n ** 64n - 1n;

function invalid(code: 'unknown_member' | 'wrong_type' | 'value_out_of_range', message: string): DomainError {
  return new DomainError(code, message);
}
