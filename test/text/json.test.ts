import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JSON_LIMITS, JsonFraction, JsonSyntaxError, parseJson, stringifyJson } from '../../src/text/json.ts';

describe('parseJson', () => {
  test('reads text without large numbers and fractions as JSON.parse does', () => {
    const plain = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.string({ unit: 'binary' }),
        fc.boolean(),
        fc.constant(null),
        fc.maxSafeInteger(),
        tie('list'),
        tie('map'),
      ),
      list: fc.array(tie('value'), { maxLength: 5 }),
      map: fc.dictionary(
        fc.string({ maxLength: 4 }).filter((key) => !['__proto__', 'constructor'].includes(key)),
        tie('value'),
        { maxKeys: 5 },
      ),
    })).value;
    fc.assert(
      fc.property(plain, fc.boolean(), (value, spaced) => {
        const text = JSON.stringify(value, null, spaced ? 2 : 0);
        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test('returns a value or a syntax error within the text, for any text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json().map((text) => text.slice(1)),
          fc.string({ unit: fc.constantFrom(...'{}[]":,\\u1e-. tfn') }),
        ),
        (text) => {
          try {
            JSON.parse(text);
          } catch {
            expect(() => parseJson(text)).toThrow(JsonSyntaxError);
          }
        },
      ),
    );
  });

  test('reads and writes integers of any size exactly', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (value) => {
        const read = parseJson(String(value)) as number | bigint;
        expect(BigInt(read)).toBe(value);
        expect(typeof read).toBe(Number.isSafeInteger(Number(value)) ? 'number' : 'bigint');
        expect(stringifyJson({ value: read })).toBe(`{"value":${value}}`);
      }),
    );
  });

  test.each(['1.0', '1e3', '-0.0', '1E-2', '1e400'])('reads %s as a fraction, not an integer', (text) => {
    expect(parseJson(text)).toBeInstanceOf(JsonFraction);
  });

  test('reads minus zero as zero', () => {
    expect(Object.is(parseJson('-0'), 0)).toBe(true);
  });

  test.each([
    ['{"a":1,}', 7, 1, 8],
    ['{\n  "a" 1\n}', 8, 2, 7],
    ['[1 2]', 3, 1, 4],
    ['', 0, 1, 1],
    ['nul', 0, 1, 1],
    ['01', 1, 1, 2],
    ['"a\u0001"', 2, 1, 3],
    ['"\\x"', 1, 1, 2],
    ['"abc', 0, 1, 1],
    ['NaN', 0, 1, 1],
    ['+1', 0, 1, 1],
    ['{} {}', 3, 1, 4],
  ])('refuses %j with the place', (text, offset, line, column) => {
    expect.assertions(1);
    try {
      parseJson(text);
    } catch (error) {
      expect(error).toMatchObject({ name: 'JsonSyntaxError', offset, line, column });
    }
  });

  test.each(['__proto__', 'constructor', 'prototype', '\\u005f_proto__'])('refuses a member named %s', (name) => {
    expect(() => parseJson(`{"a":{"${name}":{"polluted":true}}}`)).toThrow(/forbidden/);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('refuses a duplicate member', () => {
    expect(() => parseJson('{"a":1,"a":2}')).toThrow(/twice/);
  });

  test('refuses a hundred thousand brackets at the first one beyond the limit', () => {
    expect(() => parseJson('['.repeat(100_000))).toThrow(/deeper than 32 levels at offset 32/);
    expect(parseJson('['.repeat(32) + ']'.repeat(32))).toBeDefined();
  });

  test('refuses too many members', () => {
    const members = Array.from({ length: JSON_LIMITS.membersMax + 1 }, (_, index) => `"${index}":1`);
    expect(() => parseJson(`{${members.join(',')}}`)).toThrow(/more than 1000 members in an object/);
    expect(() => parseJson(`{${members.slice(1).join(',')}}`)).not.toThrow();
  });

  test('refuses too many values', () => {
    const values = Array.from({ length: JSON_LIMITS.valuesMax }, () => '1');
    expect(() => parseJson(`[${values.join(',')}]`)).toThrow(/more than 10000 values/);
    expect(() => parseJson(`[${values.slice(1).join(',')}]`)).not.toThrow();
  });

  test('refuses a body of the largest size with any content', () => {
    const hostile = [
      '['.repeat(2 ** 20),
      '{"a":'.repeat(2 ** 17),
      `{${'"k":1,'.repeat(2 ** 17)}`,
      `"${'\\u0041'.repeat(2 ** 17)}`,
    ];
    for (const text of hostile) expect(() => parseJson(text)).toThrow(JsonSyntaxError);
  });

  test('refuses a number of a million digits without reading it', () => {
    expect(() => parseJson('1'.repeat(1_000_000))).toThrow(/longer than 64 characters/);
  });
});
