import type { ServerResponse } from 'node:http';
import type { Domain, EventRecord } from '../../commands/domain.ts';
import { stringifyJson } from '../../commands/json/stringify.ts';
import { eventView } from '../../commands/views/event.ts';
import type { HttpLimits } from '../limits.ts';

/*
 * One client that follows the events. First it is given what the log holds behind the number it knows, page by page
 * and no faster than it reads; then every new event as it happens. When it does not keep up, it is given the rest from
 * the log again, so that hardly anything waits for it in memory. A client that takes nothing at all while too much
 * happens, or for too long, is cut off: it comes back with the number it has, and nothing is skipped in silence.
 */

type Options = {
  readonly response: ServerResponse;
  readonly domain: Domain;
  readonly limits: HttpLimits;
  /** The newest event that the client knows; null: it wants only what happens from now on. */
  readonly since: number | null;
};

/** Follows until the client goes, is cut, or `end` is called. @returns how to end it with a last word. */
export function followEvents(options: Options): { end(reason: string): void } {
  const { response, domain, limits } = options;
  const follower = new Follower(options);
  const unsubscribe = domain.events.subscribe((event) => follower.happened(event));
  const heartbeat = setInterval(() => follower.beat(), limits.eventHeartbeatMs);
  heartbeat.unref();
  response.once('close', () => {
    clearInterval(heartbeat);
    unsubscribe();
  });
  response.on('drain', () => follower.drained());
  response.write('retry: 1000\n\n');
  follower.begin();
  return {
    end: (reason) => {
      follower.finish();
      response.end(frame({ event: 'bye', data: { reason } }));
    },
  };
}

class Follower {
  readonly #options: Options;
  #last = 0;
  /** False while the log still holds events that the client has not been given. */
  #isLive = false;
  /** Bytes of events that happened since the client last took something. */
  #missedBytes = 0;
  /** True if the client has taken nothing since the last heartbeat, though something waits for it. */
  #isStuck = false;

  constructor(options: Options) {
    this.#options = options;
  }

  begin(): void {
    const { oldest, newest } = this.#options.domain.events.bounds();
    const { since } = this.#options;
    // Nothing beyond the newest was ever told: a number from there begins where the log ends.
    this.#last = Math.min(since ?? newest, newest);
    if (since !== null && since + 1 < oldest) this.#gap(since + 1, oldest - 1, oldest - 1);
    this.catchUp();
  }

  /** Gives what the log holds, until the client is full or knows everything. */
  catchUp(): void {
    const { response, domain, limits } = this.#options;
    while (!this.#isLive && !response.destroyed && !response.writableNeedDrain) {
      const page = domain.events.since(this.#last, limits.eventPageMax);
      for (const event of page) if (!response.writableNeedDrain) this.#send(event);
      if (page.length === 0) this.#isLive = true;
    }
  }

  happened(event: EventRecord): void {
    if (event.id <= this.#last) return;
    const { response, limits } = this.#options;
    if (this.#isLive && !response.writableNeedDrain) {
      this.#send(event);
      return;
    }
    this.#isLive = false;
    this.#missedBytes += frameOf(event).length;
    if (this.#missedBytes > limits.eventBufferBytesMax) response.destroy();
  }

  /** The client has taken what waited for it. */
  drained(): void {
    this.#missedBytes = 0;
    this.#isStuck = false;
    this.catchUp();
  }

  beat(): void {
    const { response } = this.#options;
    if (this.#isStuck) response.destroy();
    else if (response.writableNeedDrain) this.#isStuck = true;
    else response.write(':\n\n');
  }

  /** Gives what it was not given yet, as far as that is not too much, whether the client is full or not. */
  finish(): void {
    const { domain, limits } = this.#options;
    let bytes = 0;
    while (!this.#isLive && bytes < limits.eventBufferBytesMax) {
      const page = domain.events.since(this.#last, limits.eventPageMax);
      for (const event of page) {
        bytes += frameOf(event).length;
        this.#send(event);
      }
      if (page.length === 0) this.#isLive = true;
    }
  }

  /** Tells that events are no longer there: `from` to `to` inclusive. */
  #gap(from: number, to: number, last: number): void {
    this.#options.response.write(frame({ event: 'gap', data: { from, to } }));
    this.#last = last;
  }

  #send(event: EventRecord): void {
    this.#last = event.id;
    this.#options.response.write(frameOf(event));
  }
}

/** Frames by the object that every follower is told of: what waits for slow readers is in memory once, not once for each. */
const FRAMES = new WeakMap<EventRecord, Buffer>();

function frameOf(event: EventRecord): Buffer {
  const known = FRAMES.get(event);
  if (known !== undefined) return known;
  const made = Buffer.from(frame({ id: event.id, event: event.name, data: eventView(event) }));
  FRAMES.set(event, made);
  return made;
}

function frame(message: { readonly id?: number; readonly event: string; readonly data: unknown }): string {
  const id = message.id === undefined ? '' : `id: ${message.id}\n`;
  return `${id}event: ${message.event}\ndata: ${stringifyJson(message.data)}\n\n`;
}
