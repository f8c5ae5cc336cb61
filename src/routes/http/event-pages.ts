import { eventView } from '../../commands/views/machine.ts';
import type { Domain } from '../../domain/domain.ts';
import type { EventRecord } from '../../domain/ports/store.ts';
import { stringifyJson } from '../../text/json.ts';

/** Bytes of a page at which it ends, so that a reader's socket never has much more than this to take. */
const PAGE_BYTES = 64 * 1024;
/** Bytes of encoded pages that are kept for other readers. */
const KEPT_BYTES_MAX = 4 * 2 ** 20;

/** Consecutive events of the log as bytes of an event stream. */
export type EventPage = {
  /** Numbers of the first and of the last event in the page. */
  readonly first: number;
  readonly last: number;
  readonly bytes: Buffer;
};

/**
 * The event log as encoded pages. Pages begin at multiples of the page length, so that many clients that come back at once
 * share what was read and encoded: the log is read once for all of them, and what waits in their sockets is in memory once.
 */
export class EventPages {
  readonly #events: Domain['events'];
  readonly #lengthMax: number;
  /** By the number before the first event; the page that was used longest ago comes first. */
  readonly #kept = new Map<number, EventPage>();
  #keptBytes = 0;

  /** @param lengthMax most events read from the log at a time. */
  constructor(events: Domain['events'], lengthMax: number) {
    this.#events = events;
    this.#lengthMax = lengthMax;
  }

  /** The page behind event `last`; null if there is no newer event. @throws what reading the log throws. */
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

  /** Forgets the pages: no client catches up. */
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

/** Frames by the object that every follower is given: what waits for slow readers is in memory once, not once for each. */
const FRAMES = new WeakMap<EventRecord, Buffer>();

/** One event as bytes of an event stream. */
export function frameOf(event: EventRecord): Buffer {
  const known = FRAMES.get(event);
  if (known !== undefined) return known;
  const made = Buffer.from(frame({ id: event.id, event: event.name, data: eventView(event) }));
  FRAMES.set(event, made);
  return made;
}

/** One message of an event stream as text. */
export function frame(message: { readonly id?: number; readonly event: string; readonly data: unknown }): string {
  const id = message.id === undefined ? '' : `id: ${message.id}\n`;
  return `${id}event: ${message.event}\ndata: ${stringifyJson(message.data)}\n\n`;
}
