import { describe, expect, test } from 'vitest';
import { readEvents, type ServiceEvent } from '../../src/cli/event-reader.ts';

const STREAM = `retry: 1000

:

id: 7
event: MIGRATION
data: {"event":"MIGRATION","data":{"status":"ä"},"n":18446744073709551615}

event: bye
data: {"reason":"shutting-down"}

`;

async function read(...chunks: Buffer[]): Promise<ServiceEvent[]> {
  const source = async function* () {
    yield* chunks;
  };
  return await Array.fromAsync(readEvents(source()));
}

describe('an event stream', () => {
  test('gives events with exact integers, and no comments', async () => {
    const events = await read(Buffer.from(STREAM));
    expect(events.map(({ id, name }) => [id, name])).toEqual([
      ['7', 'MIGRATION'],
      [null, 'bye'],
    ]);
    expect(JSON.stringify(events[0]?.body)).toContain('"n":18446744073709551615');
  });

  test('is the same wherever it is cut', async () => {
    const bytes = Buffer.from(STREAM);
    const whole = JSON.stringify(await read(bytes));
    for (let at = 1; at < bytes.length; at += 1) {
      expect(JSON.stringify(await read(bytes.subarray(0, at), bytes.subarray(at)))).toBe(whole);
    }
  });

  test.each([
    ['data that is no JSON', 'data: {\n\n', 'an event is no JSON object'],
    ['data that is no object', 'data: 7\n\n', 'an event is no JSON object'],
    ['an event without an end', `data: ${'x'.repeat(2 ** 21)}`, 'an event is too long'],
  ])('is refused with %s', async (_, text, said) => {
    await expect(read(Buffer.from(text))).rejects.toThrow(said);
  });
});
