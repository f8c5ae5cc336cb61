import { describe, expect, test } from 'vitest';
import { parameterValue, readExpression } from '../../src/hmp/argument-values.ts';
import { LineError, LineReader } from '../../src/hmp/line-reader.ts';
import { parseSize } from '../../src/text/size.ts';

const MIB = 2n ** 20n;

describe('integers as expressions', () => {
  test.each([
    ['1+1', 2n],
    ['2*3+4', 10n],
    ['1+2&3', 3n],
    ['6|1*2', 6n],
    ['7%4^1', 2n],
    ['(1 + 2) * 3', 9n],
    ['~0', -1n],
    ['- - 1', 1n],
    ['0x10', 16n],
    ['010', 8n],
    ["'a'", 97n],
    ['9223372036854775808', -(2n ** 63n)],
    ['9223372036854775807+1', -(2n ** 63n)],
    ['-7/2', -3n],
    ['-9223372036854775808/-1', -(2n ** 63n)],
  ])('%s is %d', (text, value) => {
    expect(readExpression(new LineReader(text))).toBe(value);
  });

  test('an integer ends at the first character that does not belong to it', () => {
    for (const [text, left] of [
      ['5 6', ' 6'],
      ['08', '8'],
      ['1)', ')'],
      ['0x10g', 'g'],
    ]) {
      const reader = new LineReader(text ?? '');
      readExpression(reader);
      reader.skipSpace();
      expect(reader.rest()).toBe(String(left).trim());
    }
  });

  test.each(['', '1+', '(1', '*1', '1/0', '7%0', '!1', '$pc', "'a", "''", '0x', 'x', '18446744073709551616'])(
    '%j is no integer',
    (text) => {
      const read = (): unknown => {
        const reader = new LineReader(text);
        readExpression(reader);
        return reader.isAtEnd
          ? 'whole'
          : (() => {
              throw new LineError('left');
            })();
      };
      expect(read).toThrow(LineError);
    },
  );

  test('an expression with too many brackets is refused before the stack overflows', () => {
    expect(() => readExpression(new LineReader('('.repeat(30_000)))).toThrow(LineError);
    expect(() => readExpression(new LineReader('-'.repeat(30_000)))).toThrow(LineError);
    expect(readExpression(new LineReader(`${'1+'.repeat(20_000)}1`))).toBe(20_001n);
  });
});

describe('sizes', () => {
  test.each([
    ['1', MIB],
    ['1k', 1024n],
    ['1K', 1024n],
    ['1b', 1n],
    ['1.5', (3n * MIB) / 2n],
    ['.5', MIB / 2n],
    ['5.', 5n * MIB],
    ['1.0B', 1n],
    ['0x10', 16n * MIB],
    ['00010', 10n * MIB],
    ['+5', 5n * MIB],
    [' 5', 5n * MIB],
    ['0.1k', 102n],
    ['1E', 2n ** 60n],
    ['18446744073709551615B', 2n ** 64n - 1n],
    ['16E', 'out-of-range'],
    ['15.9999999999999999999E', 'out-of-range'],
    ['-1', 'out-of-range'],
  ])('%j is %s with MiB as the default unit', (text, bytes) => {
    expect(parseSize(text, 'M')).toBe(bytes);
  });

  test.each([
    '',
    '1e3',
    '0x10k',
    '0x1.8',
    '5 ',
    '5x',
    '5MB',
    '1 M',
    'inf',
    'nan',
    '1.1B',
    '0b1',
    '1,5',
    '.',
    '-',
    '1k1',
  ])('%j is no size', (text) => {
    expect(parseSize(text, 'M')).toBeNull();
  });

  test('a fraction of a byte is no size', () => {
    expect([parseSize('1.5', 'B'), parseSize('1.0', 'B'), parseSize('1.5k', 'B')]).toEqual([null, 1n, 1536n]);
  });
});

describe('values of parameters', () => {
  test.each([
    ['multifd-channels', '0x10', 16],
    ['multifd-channels', '010', 8],
    ['multifd-channels', '+3', 3],
    ['multifd-channels', '-1', -1],
    ['downtime-limit', '010', 10],
    ['downtime-limit', '1k', 1024],
    ['vcpu-dirty-limit', '18446744073709551615', 2n ** 64n - 1n],
    ['max-bandwidth', '9223372036854775807B', 2n ** 63n - 1n],
    ['cpu-throttle-tailslow', 'y', true],
    ['cpu-throttle-tailslow', 'no', false],
    ['mode', 'normal', 'normal'],
    ['tls-hostname', 'a b', 'a b'],
  ])('%s %s is accepted as %s', (name, text, value) => {
    expect(parameterValue(name, text)).toBe(value);
  });

  test.each([
    ['multifd-channels', '1k'],
    ['multifd-channels', '09'],
    ['multifd-channels', '3 '],
    ['downtime-limit', '300ms'],
    ['max-bandwidth', '9223372036854775808B'],
    ['xbzrle-cache-size', '9223372036854775808'],
    ['max-postcopy-bandwidth', '18446744073709551616'],
    ['cpu-throttle-tailslow', 'ON'],
    ['block-bitmap-mapping', 'x'],
    ['toString', '1'],
    ['max_bandwidth', '1'],
  ])('%s %s is refused', (name, text) => {
    expect(() => parameterValue(name, text)).toThrow();
  });
});
