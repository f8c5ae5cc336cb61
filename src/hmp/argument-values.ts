import { MigrateSetParameters } from '../commands/schemas/settings.ts';
import { DomainError } from '../domain/errors.ts';
import type { IntegerDeclaration } from '../domain/settings/declaration.ts';
import { isParameter, parameterDeclaration } from '../domain/settings/declared-settings.ts';
import { didYouMean } from '../text/nearest.ts';
import { parseSize } from '../text/size.ts';
import { LineError, type LineReader, quoted } from './line-reader.ts';

/*
 * Integer arguments are expressions: `2*64`, `(1+3)&~1`, `0x10`, `'a'`. As in QEMU they are evaluated as signed 64-bit integers;
 * + and - have the lowest precedence, then & | ^, then * / %. An expression ends where no operator follows, so `1 2` are two
 * arguments, and `1 -1` is one.
 *
 *   sum := logic { (+|-) logic }      logic := product { (&|'|'|^) product }
 *   product := unary { (*|/|%) unary }    unary := (+|-|~) unary | '(' sum ')' | 'c' | number
 */

/** Greatest depth of nested brackets and signs. */
const DEPTH_MAX = 64;
const BITS = 64;
const NUMBER_MAX = 2n ** 64n - 1n;

/** Reads an expression at the reader's position. @throws LineError */
export function readExpression(reader: LineReader): bigint {
  return new Expression(reader).sum();
}

class Expression {
  readonly #reader: LineReader;
  #depth = 0;

  constructor(reader: LineReader) {
    this.#reader = reader;
  }

  sum(): bigint {
    return this.#chain('+-', () => this.#logic());
  }

  #logic(): bigint {
    return this.#chain('&|^', () => this.#product());
  }

  #product(): bigint {
    return this.#chain('*/%', () => this.#unary());
  }

  #chain(operators: string, operand: () => bigint): bigint {
    let value = operand();
    for (;;) {
      const operator = this.#next();
      if (operator === '' || !operators.includes(operator)) return value;
      this.#reader.at += 1;
      value = BigInt.asIntN(BITS, apply(operator, value, operand()));
    }
  }

  #unary(): bigint {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX)
      throw new LineError(`The expression has more than ${DEPTH_MAX} nested brackets and signs`);
    const value = BigInt.asIntN(BITS, this.#operand());
    this.#depth -= 1;
    return value;
  }

  #operand(): bigint {
    const reader = this.#reader;
    const character = this.#next();
    switch (character) {
      case '':
        throw new LineError('The line ends where a number is expected');
      case '+':
        reader.at += 1;
        return this.#unary();
      case '-':
        reader.at += 1;
        return -this.#unary();
      case '~':
        reader.at += 1;
        return ~this.#unary();
      case '(':
        return this.#bracket();
      case "'":
        return this.#character();
      case '$':
        throw new LineError('The registers of this machine cannot be used in expressions');
      default:
        return this.#number();
    }
  }

  #bracket(): bigint {
    this.#reader.at += 1;
    const value = this.sum();
    if (this.#next() !== ')') throw new LineError('A closing bracket is missing');
    this.#reader.at += 1;
    return value;
  }

  #character(): bigint {
    const value = this.#reader.peek(1);
    if (value === '' || this.#reader.peek(2) !== "'") throw new LineError("A character has a ' on each side: 'a'");
    this.#reader.at += 3;
    return BigInt(value.charCodeAt(0));
  }

  /** Hexadecimal after 0x, octal after 0, otherwise decimal. Stops behind the last digit. */
  #number(): bigint {
    const rest = this.#reader.text.slice(this.#reader.at, this.#reader.at + NUMBER_LENGTH_MAX);
    const digits = /^(?:0x[0-9a-f]+|0[0-7]*|[1-9]\d*)/i.exec(rest)?.[0];
    if (digits === undefined) throw new LineError(`${quoted(this.#reader.peek())} cannot be part of a number`);
    const isOctal = /^0[0-7]/.test(digits);
    const value = BigInt(isOctal ? `0o${digits.slice(1)}` : digits);
    if (value > NUMBER_MAX) throw new LineError(`${quoted(digits)} does not fit into 64 bits`);
    this.#reader.at += digits.length;
    return value;
  }

  /** The next character that is not white space. */
  #next(): string {
    this.#reader.skipSpace();
    return this.#reader.peek();
  }
}

/** Characters of a number that are read, at most. A number with so many digits does not fit into 64 bits in any base. */
const NUMBER_LENGTH_MAX = 256;

function apply(operator: string, left: bigint, right: bigint): bigint {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '&':
      return left & right;
    case '|':
      return left | right;
    case '^':
      return left ^ right;
    case '*':
      return left * right;
    default:
      if (right === 0n) throw new LineError('Division by zero');
      return operator === '/' ? left / right : left % right;
  }
}

/** An integer in the form that commands take: a number if that is exact, otherwise a bigint. */
export function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/*
 * Values of parameters. The text is read as QEMU reads it: integers of 64 bits are sizes, in bytes or in MiB without a suffix;
 * integers of 8 and 32 bits take no suffix, and a leading zero makes them octal. The command checks the ranges.
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
