import { parseSize } from '../../text/size.ts';
import type { ParameterValue } from './declaration.ts';
import { parameterDeclaration } from './declared-settings.ts';
import type { ParameterName } from './schema-order.ts';
import { pointerTo, shown, type Violations } from './violations.ts';

const UINT64_MAX = 2n ** 64n - 1n;

/** Checks one value against its type and range. @returns the value to keep; null if a violation was added. */
export function checkParameterValue(
  name: ParameterName,
  value: unknown,
  violations: Violations,
): ParameterValue | null {
  const definition = parameterDeclaration(name);
  switch (definition.type) {
    case 'bool':
      if (typeof value === 'boolean') return value;
      return refuse('wrong_type', `${name} is ${shown(value)}; it has to be true or false.`);
    case 'string-or-null':
      if (value === null) return '';
      if (typeof value === 'string') return value;
      return refuse('wrong_type', `${name} is ${shown(value)}; it has to be a string or null.`);
    case 'enum':
      if (typeof value !== 'string') return refuse('wrong_type', `${name} is ${shown(value)}; it has to be a string.`);
      if (definition.values.includes(value)) return value;
      return refuse('value_out_of_range', `${name} is ${shown(value)}; ${definition.values.join(', ')} are allowed.`);
    case 'bitmap-mapping':
      return definition.check(value, violations);
    default: {
      if (!isInteger(value)) return refuse('wrong_type', `${name} is ${shown(value)}; it has to be an integer.`);
      if (isInexact(value))
        return refuse('value_out_of_range', `${name} is ${value}; at most ${UINT64_MAX} is allowed.`);
      const exact = BigInt(value);
      if (exact >= definition.min && exact <= definition.max) return fromBigInt(exact);
      const unit = definition.unit === null ? '' : ` ${definition.unit}`;
      const range = `from ${definition.min} to ${definition.max}${unit}`;
      return refuse('value_out_of_range', `${name} is ${value}; it may be ${range}.`);
    }
  }

  function refuse(code: 'wrong_type' | 'value_out_of_range', reason: string): null {
    violations.add(code, pointerTo(name), reason);
    return null;
  }
}

/**
 * The value that a text of the command line stands for: sizes are read by `src/text/size.ts`, integers may be
 * hexadecimal (0x…), and a bool is on or off.
 * @returns the text itself where it is not a value of the type: the check refuses it.
 */
export function parseParameterText(name: ParameterName, text: string): unknown {
  const definition = parameterDeclaration(name);
  if (definition.type === 'bool') return SWITCHES.get(text) ?? text;
  if (definition.type === 'enum' || definition.type === 'string-or-null') return text;
  if (definition.type === 'bitmap-mapping') return text;
  const size = definition.type === 'size' ? parseSize(text, 'B') : null;
  if (typeof size === 'bigint') return fromBigInt(size);
  const [, sign, digits] = INTEGER_TEXT.exec(text) ?? [];
  if (digits === undefined) return text;
  return fromBigInt(sign === '-' ? -BigInt(digits) : BigInt(digits));
}

/** An integer with more digits is outside every range; it stays a text, which the check refuses. */
const INTEGER_TEXT = /^(-?)(0x[0-9a-fA-F]{1,64}|\d{1,64})$/;
const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ['on', true],
  ['true', true],
  ['yes', true],
  ['off', false],
  ['false', false],
  ['no', false],
]);

function isInteger(value: unknown): value is number | bigint {
  // JSON such as 1e400 is read as Infinity: the value is out of range, and its type is right.
  return typeof value === 'bigint' || (typeof value === 'number' && (Number.isInteger(value) || isInfinite(value)));
}

function isInexact(value: number | bigint): value is number {
  return typeof value === 'number' && !Number.isSafeInteger(value) && value > 0;
}

function isInfinite(value: number): boolean {
  return value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY;
}

function fromBigInt(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
