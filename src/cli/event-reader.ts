import { createParser, type EventSourceMessage } from 'eventsource-parser';
import {
  ConnectionLost,
  RETRY_MS,
  Reconnection,
  type ReconnectionOptions,
  unexpectedAnswer,
} from './client-failure.ts';
import { isRecord, parseExactJson } from './json-values.ts';

/* The event stream of a service: server-sent events decoded to objects, over one connection or over several. */

/** An event. Its name and data are those of the QMP event. */
export type ServiceEvent = {
  /** Number of the event. A later request for events continues after it. Null for `gap` and `bye`, which have none. */
  readonly id: string | null;
  /** Name of a QMP event, or `gap`, or `bye`. */
  readonly name: string;
  /** The JSON object of the event, with exact integers. */
  readonly body: Readonly<Record<string, unknown>>;
};

/** Longest event that is accepted, in characters. */
const EVENT_CHARACTERS_MAX = 2 ** 20;

/**
 * Decodes a stream of server-sent events. Comments, which keep the connection alive, give no event.
 * @throws Failure if an event is longer than 1 MiB, or is not a JSON object.
 */
export async function* readEvents(chunks: AsyncIterable<Buffer>): AsyncIterable<ServiceEvent> {
  const decoder = new TextDecoder();
  const messages: EventSourceMessage[] = [];
  let isTooLong = false;
  const parser = createParser({
    maxBufferSize: EVENT_CHARACTERS_MAX,
    onEvent: (message) => void messages.push(message),
    // Fields that this client does not know are ignored, as the standard demands.
    onError: ({ type }) => {
      isTooLong ||= type === 'max-buffer-size-exceeded';
    },
  });
  for await (const chunk of chunks) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* messages.splice(0).map(eventOf);
    if (isTooLong) throw unexpectedAnswer('an event is too long');
  }
}

function eventOf({ id, event, data }: EventSourceMessage): ServiceEvent {
  return { id: id ?? null, name: event ?? 'message', body: bodyOf(data) };
}

function bodyOf(data: string): Readonly<Record<string, unknown>> {
  try {
    const body = parseExactJson(data);
    if (isRecord(body)) return body;
  } catch {
    // The error below covers invalid JSON too.
  }
  throw unexpectedAnswer('an event is not a JSON object');
}

export type ListenOptions = ReconnectionOptions & {
  /** Opens the event stream after the event of the given number; null: from now on. */
  readonly open: (since: string | null, signal: AbortSignal) => Promise<AsyncIterable<ServiceEvent>>;
  /** Number of the last known event; null: only events from now on. */
  readonly since: string | null;
  /** Ends the listening. */
  readonly stop: AbortSignal;
  readonly take: (event: ServiceEvent) => void;
};

/**
 * Receives events until `stop` aborts. A stream that ends is opened again after the last event that was received. A service
 * that has never answered is not asked again.
 * @throws Failure if the service cannot be reached or refuses.
 */
export async function listen(options: ListenOptions): Promise<void> {
  const { open, clock, stop, take } = options;
  const reconnection = new Reconnection(options);
  let last = options.since;
  let hasAnswered = false;
  while (!stop.aborted) {
    try {
      const events = await open(last, stop);
      hasAnswered = true;
      reconnection.answered();
      for await (const event of events) {
        last = event.id ?? last;
        take(event);
      }
    } catch (error) {
      if (stop.aborted) return;
      if (!(error instanceof ConnectionLost) || !hasAnswered || reconnection.failed(error)) throw error;
    }
    await clock.wait(RETRY_MS, stop);
  }
}
