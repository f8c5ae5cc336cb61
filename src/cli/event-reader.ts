import { unexpectedAnswer } from './client-failure.ts';
import { isRecord, parseExactJson } from './json-values.ts';

/* Server-sent events as the service sends them: bytes in, events out. */

/** An event with the names and data of QMP. */
export type ServiceEvent = {
  /** Its number, as it is given back to go on from there; null for what is no event of the machine. */
  readonly id: string | null;
  /** Name of a QMP event, or `gap`, or `bye`. */
  readonly name: string;
  /** What the service said, integers exact. */
  readonly body: Readonly<Record<string, unknown>>;
};

const BLOCK_CHARACTERS_MAX = 2 ** 20;

/** @throws Failure for what is no event stream. */
export async function* readEvents(chunks: AsyncIterable<Buffer>): AsyncIterable<ServiceEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const blocks = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n\n');
    rest = blocks.pop() ?? '';
    if (rest.length > BLOCK_CHARACTERS_MAX) throw unexpectedAnswer('an event is too long');
    for (const block of blocks) {
      const event = eventOf(block);
      if (event !== null) yield event;
    }
  }
}

/** Null for a comment, which keeps the connection alive, and for other blocks without data. */
function eventOf(block: string): ServiceEvent | null {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name !== '') fields.set(name, value);
  }
  const data = fields.get('data');
  if (data === undefined) return null;
  const body = bodyOf(data);
  return { id: fields.get('id') ?? null, name: fields.get('event') ?? 'message', body };
}

function bodyOf(data: string): Readonly<Record<string, unknown>> {
  try {
    const body = parseExactJson(data);
    if (isRecord(body)) return body;
  } catch {
    // Said below.
  }
  throw unexpectedAnswer('an event is no JSON object');
}
