import { JsonSyntaxError, readQemuString } from './json-strings.ts';

export { JsonSyntaxError } from './json-strings.ts';

/*
 * Reads and writes JSON with exact numbers. Integers beyond 2^53 are bigints. A number with a fraction or an exponent is a
 * JsonFraction, so that it is not taken for an integer. Reading is one linear pass with limits: hostile text (deep nesting, many
 * members, members that reach a prototype) is refused early.
 */

/** A number written with a fraction or an exponent. `1.0` is not an integer. */
export class JsonFraction {
  readonly value: number;
  /** The number as it was written. Writing it again gives the same text, also for 1e400, whose `value` is infinite. */
  readonly text: string;

  constructor(value: number, text = String(value)) {
    this.value = value;
    this.text = text;
  }
}

export type JsonLimits = {
  /** Arrays and objects inside each other. */
  readonly depthMax: number;
  /** Members and array elements in the whole text. */
  readonly valuesMax: number;
  /** Members of one object. */
  readonly membersMax: number;
  /** Characters of one number. */
  readonly numberLengthMax: number;
  /** Read strings as QEMU does: also in single quotes, and refuse an unpaired surrogate. */
  readonly readsStringsAsQemu?: boolean;
};

export const JSON_LIMITS: JsonLimits = { depthMax: 32, valuesMax: 10_000, membersMax: 1000, numberLengthMax: 64 };

/** Names of members with which careless code could change an object's prototype. */
const FORBIDDEN_MEMBERS = new Set(['__proto__', 'constructor', 'prototype']);

type Cursor = { readonly text: string; readonly limits: JsonLimits; offset: number; values: number };

/**
 * @returns null, booleans, strings, numbers (safe integers), bigints (other integers), JsonFraction, arrays and plain
 * objects.
 * @throws JsonSyntaxError with the position of the error
 */
export function parseJson(text: string, limits: JsonLimits = JSON_LIMITS): unknown {
  const cursor: Cursor = { text, limits, offset: 0, values: 0 };
  skipSpace(cursor);
  const value = readValue(cursor, 0);
  skipSpace(cursor);
  if (cursor.offset < text.length) fail(cursor, `unexpected ${show(cursor)} after the value`);
  return value;
}

function readValue(cursor: Cursor, depth: number): unknown {
  cursor.values += 1;
  if (cursor.values > cursor.limits.valuesMax) fail(cursor, `more than ${cursor.limits.valuesMax} values`);
  switch (cursor.text[cursor.offset]) {
    case '{':
      return readObject(cursor, depth + 1);
    case '[':
      return readArray(cursor, depth + 1);
    case '"':
    case "'":
      return readText(cursor);
    case 't':
      return readWord(cursor, 'true', true);
    case 'f':
      return readWord(cursor, 'false', false);
    case 'n':
      return readWord(cursor, 'null', null);
    default:
      return readNumber(cursor);
  }
}

function readObject(cursor: Cursor, depth: number): Record<string, unknown> {
  enter(cursor, depth);
  const object: Record<string, unknown> = {};
  if (take(cursor, '}')) return object;
  let members = 0;
  do {
    skipSpace(cursor);
    const start = cursor.offset;
    members += 1;
    if (members > cursor.limits.membersMax) fail(cursor, `more than ${cursor.limits.membersMax} members in an object`);
    if (!isQuote(cursor, start)) fail(cursor, `expected a member's name, found ${show(cursor)}`);
    const name = readText(cursor);
    if (FORBIDDEN_MEMBERS.has(name)) throw new JsonSyntaxError(`the member "${name}" is forbidden`, cursor.text, start);
    if (Object.hasOwn(object, name)) throw new JsonSyntaxError(`the member "${name}" occurs twice`, cursor.text, start);
    if (!take(cursor, ':')) fail(cursor, `expected ":", found ${show(cursor)}`);
    skipSpace(cursor);
    object[name] = readValue(cursor, depth);
  } while (take(cursor, ','));
  if (!take(cursor, '}')) fail(cursor, `expected "," or "}", found ${show(cursor)}`);
  return object;
}

function readArray(cursor: Cursor, depth: number): unknown[] {
  enter(cursor, depth);
  const array: unknown[] = [];
  if (take(cursor, ']')) return array;
  do {
    skipSpace(cursor);
    array.push(readValue(cursor, depth));
  } while (take(cursor, ','));
  if (!take(cursor, ']')) fail(cursor, `expected "," or "]", found ${show(cursor)}`);
  return array;
}

function enter(cursor: Cursor, depth: number): void {
  if (depth > cursor.limits.depthMax) fail(cursor, `nested deeper than ${cursor.limits.depthMax} levels`);
  cursor.offset += 1;
}

function isQuote({ text, limits }: Cursor, offset: number): boolean {
  return text[offset] === '"' || (limits.readsStringsAsQemu === true && text[offset] === "'");
}

/** A string, read as JSON or as QEMU does. */
function readText(cursor: Cursor): string {
  if (!isQuote(cursor, cursor.offset)) fail(cursor, `unexpected ${show(cursor)}`);
  if (cursor.limits.readsStringsAsQemu !== true) return readString(cursor);
  const start = cursor.offset;
  const { value, end } = readQemuString(cursor.text, start);
  if (!value.isWellFormed()) throw new JsonSyntaxError('half a Unicode character', cursor.text, start);
  cursor.offset = end;
  return value;
}

const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

function readString(cursor: Cursor): string {
  const { text, offset: start } = cursor;
  let end = start + 1 + lengthAt(PLAIN, text, start + 1);
  const isPlain = text[end] === '"';
  while (text[end] === '\\') {
    const length = lengthAt(ESCAPE, text, end);
    if (length === 0) throw new JsonSyntaxError('a bad escape', text, end);
    end += length;
    end += lengthAt(PLAIN, text, end);
  }
  if (end >= text.length) throw new JsonSyntaxError('a string that does not end', text, start);
  if (text[end] !== '"') throw new JsonSyntaxError('a control character in a string', text, end);
  cursor.offset = end + 1;
  return isPlain ? text.slice(start + 1, end) : (JSON.parse(text.slice(start, end + 1)) as string);
}

function lengthAt(pattern: RegExp, text: string, offset: number): number {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0].length ?? 0;
}

function readWord<T>(cursor: Cursor, word: string, value: T): T {
  if (!cursor.text.startsWith(word, cursor.offset)) fail(cursor, `unexpected ${show(cursor)}`);
  cursor.offset += word.length;
  return value;
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;

function readNumber(cursor: Cursor): number | bigint | JsonFraction {
  NUMBER.lastIndex = cursor.offset;
  const match = NUMBER.exec(cursor.text);
  if (match === null) fail(cursor, `unexpected ${show(cursor)}`);
  const [token, fraction, exponent] = match;
  if (token.length > cursor.limits.numberLengthMax) {
    fail(cursor, `a number longer than ${cursor.limits.numberLengthMax} characters`);
  }
  cursor.offset += token.length;
  if (fraction !== undefined || exponent !== undefined) return new JsonFraction(Number(token), token);
  const value = Number(token);
  if (!Number.isSafeInteger(value)) return BigInt(token);
  return value === 0 ? 0 : value;
}

function take(cursor: Cursor, character: string): boolean {
  skipSpace(cursor);
  if (cursor.text[cursor.offset] !== character) return false;
  cursor.offset += 1;
  return true;
}

function skipSpace(cursor: Cursor): void {
  for (;;) {
    const code = cursor.text.charCodeAt(cursor.offset);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    cursor.offset += 1;
  }
}

function show(cursor: Cursor): string {
  const found = cursor.text[cursor.offset];
  return found === undefined ? 'the end of the text' : JSON.stringify(found);
}

function fail(cursor: Cursor, reason: string): never {
  throw new JsonSyntaxError(reason, cursor.text, cursor.offset);
}

/**
 * JSON text of a value. Bigints are written as integers with all digits, fractions as they were read.
 * @param indent spaces per level; 0: one line
 */
export function stringifyJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, exact, indent);
}

function exact(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return JSON.rawJSON(value.toString());
  return value instanceof JsonFraction ? JSON.rawJSON(value.text) : value;
}
