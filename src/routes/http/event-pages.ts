import { eventView } from '../../commands/views/machine.ts';
import type { Domain } from '../../domain/domain.ts';
import type { EventRecord } from '../../domain/ports/store.ts';
import { stringifyJson } from '../../text/json.ts';

/** A page ends at this number of bytes, so that little more than this waits in the socket of a reader. */
const PAGE_BYTES = 64 * 1024;
/** Largest number of bytes of encoded pages that are cached for other readers. */
const KEPT_BYTES_MAX = 4 * 2 ** 20;

/** Consecutive events of the log, encoded as an event stream. */
export type EventPage = {
  /** Number of the first event in the page. */
  readonly first: number;
  /** Number of the last event in the page. */
  readonly last: number;
  readonly bytes: Buffer;
};

/**
 * The event log as encoded pages. Pages begin at multiples of the page length, so clients that reconnect at the same time
 * share pages: the log is read once for all of them, and the bytes that wait in their sockets are in memory once.
 */
export class EventPages {
  readonly #events: Domain['events'];
  readonly #lengthMax: number;
  /** Cached pages by the number before their first event, least recently used first. */
  readonly #kept = new Map<number, EventPage>();
  #keptBytes = 0;

  /** @param lengthMax largest number of events in one read of the log */
  constructor(events: Domain['events'], lengthMax: number) {
    this.#events = events;
    this.#lengthMax = lengthMax;
  }

  /** The page after event `last`; null if there is no newer event. @throws the error of a failed read of the log */
  after(last: number): EventPage | null {
    const kept = this.#kept.get(last);
    if (kept !== undefined) {
      this.#kept.delete(last);
      this.#kept.set(last, kept);
      return kept;
    }
    const events = this.#events.since(last, this.#lengthMax - (last % this.#lengthMax));
    const pages = pagesOf(events);
    let before = last;
    for (const page of pages) {
      this.#keep(before, page);
      before = page.last;
    }
    return pages[0] ?? null;
  }

  /** Clears the cache. Call this when no client needs stored events. */
  clear(): void {
    this.#kept.clear();
    this.#keptBytes = 0;
  }

  #keep(before: number, page: EventPage): void {
    this.#keptBytes += page.bytes.length - (this.#kept.get(before)?.bytes.length ?? 0);
    this.#kept.set(before, page);
    for (const [key, { bytes }] of this.#kept) {
      if (this.#keptBytes <= KEPT_BYTES_MAX) return;
      this.#kept.delete(key);
      this.#keptBytes -= bytes.length;
    }
  }
}

function pagesOf(events: readonly EventRecord[]): EventPage[] {
  const pages: EventPage[] = [];
  let [frames, bytes, first]: [Buffer[], number, number] = [[], 0, 0];
  for (const [index, event] of events.entries()) {
    if (frames.length === 0) first = event.id;
    frames.push(frameOf(event));
    bytes += frames.at(-1)?.length ?? 0;
    if (bytes < PAGE_BYTES && index < events.length - 1) continue;
    pages.push({ first, last: event.id, bytes: Buffer.concat(frames) });
    [frames, bytes] = [[], 0];
  }
  return pages;
}

/** Encoded events by event object. All followers receive the same object, so the bytes that wait for slow readers are in memory once. */
const FRAMES = new WeakMap<EventRecord, Buffer>();

/** One event, encoded for an event stream. */
export function frameOf(event: EventRecord): Buffer {
  const known = FRAMES.get(event);
  if (known !== undefined) return known;
  const made = Buffer.from(frame({ id: event.id, event: event.name, data: eventView(event) }));
  FRAMES.set(event, made);
  return made;
}

/** One message of an event stream, as text. */
export function frame(message: { readonly id?: number; readonly event: string; readonly data: unknown }): string {
  const id = message.id === undefined ? '' : `id: ${message.id}\n`;
  return `${id}event: ${message.event}\ndata: ${stringifyJson(message.data)}\n\n`;
}
