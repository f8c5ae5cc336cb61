import { LineError } from '../line-error.ts';
import { quoted } from '../printable.ts';
import type { Reader } from '../reader.ts';

/*
 * An integer argument is an expression: `2*64`, `(1+3)&~1`, `0x10`, `'a'`. As in QEMU it is worked out in 64 bits with a
 * sign, the sum binds most loosely, then come & | ^, then * / %. It ends where no operator follows, so two arguments
 * can stand behind each other, and `1 -1` is one argument.
 *
 *   sum := logic { (+|-) logic }      logic := product { (&|'|'|^) product }
 *   product := unary { (*|/|%) unary }    unary := (+|-|~) unary | '(' sum ')' | 'c' | number
 */

/** Brackets and signs within each other, at most. */
const DEPTH_MAX = 64;
const BITS = 64;
const NUMBER_MAX = 2n ** 64n - 1n;

/** Reads an expression where the reader stands. @throws LineError */
export function readExpression(reader: Reader): bigint {
  return new Expression(reader).sum();
}

class Expression {
  readonly #reader: Reader;
  #depth = 0;

  constructor(reader: Reader) {
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
    if (this.#depth > DEPTH_MAX) throw new LineError(`More than ${DEPTH_MAX} brackets and signs lie within each other`);
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
        throw new LineError('This machine has no registers that could be named');
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
    if (value === '' || this.#reader.peek(2) !== "'") throw new LineError("A character stands between two ': 'a'");
    this.#reader.at += 3;
    return BigInt(value.charCodeAt(0));
  }

  /** Hexadecimal after 0x, octal after 0, or decimal; what comes behind it is left. */
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

/** Digits that are looked at; a number of that many does not fit into 64 bits in any base. */
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
      if (right === 0n) throw new LineError('A division by zero has no value');
      return operator === '/' ? left / right : left % right;
  }
}
