import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DecodedMessage, QmpDecoder } from '../../../src/qmp/codec/qmp-decoder.ts';
import { QMP_LIMITS, type QmpLimits } from '../../../src/qmp/qmp-limits.ts';
import { stringifyJson } from '../../../src/text/json.ts';

/** The output of a decoder for split input: each value, and `!` for each refusal. */
function read(pieces: readonly (string | Uint8Array)[], limits: Partial<QmpLimits> = {}): unknown[] {
  const decoder = new QmpDecoder({ ...QMP_LIMITS, ...limits });
  const found: DecodedMessage[] = [];
  for (const piece of pieces) {
    decoder.push(typeof piece === 'string' ? Buffer.from(piece) : piece);
    for (let input = decoder.next(); input !== null; input = decoder.next()) found.push(input);
  }
  return found.map((input) => (input.kind === 'value' ? input.value : '!'));
}

describe('values', () => {
  test('may be joined, separated, or spread over many lines', () => {
    expect(read(['{"a":1}{"b":2} [3]\n{\r\n\t"c":\n4}'])).toEqual([{ a: 1 }, { b: 2 }, [3], { c: 4 }]);
  });

  test('may be split at any byte', () => {
    const texts = fc.array(fc.oneof(fc.json(), fc.constant("{'a':'b\"c\\'d'}")), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(texts, fc.array(fc.nat(200), { maxLength: 20 }), (list, cuts) => {
        const whole = Buffer.from(`${list.join('\n')}\n`);
        const places = [0, ...cuts.map((cut) => cut % whole.length).sort((a, b) => a - b), whole.length];
        const pieces = places.slice(1).map((end, index) => whole.subarray(places[index], end));
        expect(read(pieces)).toEqual(read([whole]));
      }),
    );
  });

  test('keep integers of 64 bits exactly, and fractions as text', () => {
    const text = '[18446744073709551615,-9223372036854775808,1.10,1e400]';
    expect(stringifyJson(read([text])[0])).toBe(text);
  });

  test("may have strings in single quotes, and \\' as an escape", () => {
    expect(read([`{'a"b':"c'd",'e':'f\\'g\\n','h':"i\\'"}`])).toEqual([{ 'a"b': "c'd", e: "f'g\n", h: "i'" }]);
  });
});

describe('an invalid text, with the answers of QEMU 10.0', () => {
  test.each<[string, readonly string[]]>([
    ['garbage text here\n', ['!', '!', '!']],
    ['}', ['!']],
    ['{"a":1]}\n', ['!', '!']],
    ['{"a":1,"a":2}', ['!']],
    ['{"a":"b\nc"}', ['!', '!']],
    ['"\\ud800" ', ['!']],
    ['+1 ', ['!']],
    ['nul\n', ['!']],
  ])('%j is refused once for each part', (text, refusals) => {
    expect(read([text, '{"next":1}'])).toEqual([...refusals, { next: 1 }]);
  });

  test.each([
    ['a control character', Buffer.from('{"execute":\x01')],
    ['a control character in a string', Buffer.from('{"execute":"abc\x01')],
    ['0xff', Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0xff])],
    ['a stray byte and the rest of its line', Buffer.from('# foo\n')],
    ['invalid UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22])],
  ])('after %s is followed by the next valid command', (_what, bytes) => {
    expect(read([bytes, '{"next":1}'])).toEqual(['!', { next: 1 }]);
  });

  test('with values nested deeper than 1024 levels is refused', () => {
    const { depthMax } = QMP_LIMITS;
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(read([nested(depthMax)])).toHaveLength(1);
    expect(read([nested(depthMax)])).not.toContain('!');
    expect(read([nested(depthMax + 1)])[0]).toBe('!');
    expect(read([`${nested(depthMax + 1)}{"next":1}`]).at(-1)).toEqual({ next: 1 });
  });

  test('that is too long is refused, and nothing is read after it', () => {
    const limits = { messageBytesMax: 100 };
    const text = (bytes: number): string => `"${'x'.repeat(bytes - 2)}"`;
    expect(read([text(100), text(100)], limits)).toEqual(['x'.repeat(98), 'x'.repeat(98)]);
    expect(read([text(101), '{"next":1}'], limits)).toEqual(['!']);
    expect(read([...text(101), '{"next":1}'], limits)).toEqual(['!']);
  });
});
