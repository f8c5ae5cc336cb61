import { describe, expect, test } from 'vitest';
import { readEvents, type ServiceEvent } from '../../src/cli/event-reader.ts';

const STREAM = `retry: 1000

: keep-alive

id: 7
event: MIGRATION
data: {"event":"MIGRATION",
data: "data":{"status":"ä"},
: a comment between the fields of an event
unknown: field
data: "n":18446744073709551615}

:

event: bye
data:{"reason":"shutting-down"}

`;

async function read(...chunks: Buffer[]): Promise<ServiceEvent[]> {
  const source = async function* () {
    yield* chunks;
  };
  return await Array.fromAsync(readEvents(source()));
}

function withLineEnds(end: string): Buffer {
  return Buffer.from(STREAM.replaceAll('\n', end));
}

describe.each([
  ['LF', '\n'],
  ['CR LF', '\r\n'],
  ['CR', '\r'],
])('an event stream with line ends of %s', (_, end) => {
  test('gives its events with exact integers and multi-line data, and no comments', async () => {
    const events = await read(withLineEnds(end));
    expect(events.map(({ id, name }) => [id, name])).toEqual([
      ['7', 'MIGRATION'],
      [null, 'bye'],
    ]);
    expect(JSON.stringify(events.map(({ body }) => body))).toBe(
      '[{"event":"MIGRATION","data":{"status":"ä"},"n":18446744073709551615},{"reason":"shutting-down"}]',
    );
  });

  test('gives the same events when it is cut at any byte', async () => {
    const bytes = withLineEnds(end);
    const whole = JSON.stringify(await read(bytes));
    for (let at = 1; at < bytes.length; at += 1) {
      expect(JSON.stringify(await read(bytes.subarray(0, at), bytes.subarray(at)))).toBe(whole);
    }
    expect(JSON.stringify(await read(...Array.from(bytes, (byte) => Buffer.of(byte))))).toBe(whole);
  });
});

describe('an event stream', () => {
  test('gives an event before the next chunk arrives', async () => {
    const source = async function* () {
      yield Buffer.from('data: {"a":1}\n\ndata: {"b":2}\n');
      throw new Error('the reader asked for another chunk');
    };
    const { value } = await readEvents(source())[Symbol.asyncIterator]().next();
    expect(value).toEqual({ id: null, name: 'message', body: { a: 1 } });
  });

  test('drops an event whose end has not arrived', async () => {
    expect(await read(Buffer.from('data: {"a":1}\n'))).toEqual([]);
  });

  test.each([
    ['data that is no JSON', 'data: {\n\n', 'an event is not a JSON object'],
    ['data that is no object', 'data: 7\n\n', 'an event is not a JSON object'],
    ['a line without an end', `data: ${'x'.repeat(2 ** 21)}`, 'an event is too long'],
    ['data of lines without an end', `data: ${'x'.repeat(1023)}\n`.repeat(1025), 'an event is too long'],
  ])('is refused with %s', async (_, text, message) => {
    await expect(read(Buffer.from(text))).rejects.toThrow(message);
  });

  test('gives the events before an event that is too long', async () => {
    const events = readEvents(
      (async function* () {
        yield Buffer.from(`data: {"a":1}\n\ndata: ${'x'.repeat(2 ** 21)}`);
      })(),
    )[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ body: { a: 1 } });
    await expect(events.next()).rejects.toThrow('an event is too long');
  });
});
