import type { ServerResponse } from 'node:http';
import type { Domain, EventRecord } from '../../commands/domain.ts';
import { stringifyJson } from '../../commands/json/stringify.ts';
import { eventView } from '../../commands/views/event.ts';
import type { HttpLimits } from '../limits.ts';

/*
 * One client that follows the events. First it is given what the log holds behind the number it knows, page by page
 * and no faster than it reads; then every new event as it happens. A client that lags further behind than its buffer
 * is cut off: it comes back with the number it has, and nothing is skipped in silence.
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
  const heartbeat = setInterval(() => response.write(':\n\n'), limits.eventHeartbeatMs);
  heartbeat.unref();
  response.once('close', () => {
    clearInterval(heartbeat);
    unsubscribe();
  });
  response.on('drain', () => follower.catchUp());
  response.write('retry: 1000\n\n');
  follower.begin();
  return {
    end: (reason) => {
      response.end(frame({ event: 'bye', data: { reason } }));
    },
  };
}

class Follower {
  readonly #options: Options;
  #last = 0;
  /** False while the log still holds events that the client has not been given. */
  #isLive = false;

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
      for (const event of page) this.#send(event);
      if (page.length === 0) this.#isLive = true;
    }
  }

  happened(event: EventRecord): void {
    if (!this.#isLive || event.id <= this.#last) return;
    this.#send(event);
    const { response, limits } = this.#options;
    if (response.writableLength > limits.eventBufferBytesMax) response.destroy();
  }

  /** Tells that events are no longer there: `from` to `to` inclusive. */
  #gap(from: number, to: number, last: number): void {
    this.#options.response.write(frame({ event: 'gap', data: { from, to } }));
    this.#last = last;
  }

  #send(event: EventRecord): void {
    this.#last = event.id;
    this.#options.response.write(frame({ id: event.id, event: event.name, data: eventView(event) }));
  }
}

function frame(message: { readonly id?: number; readonly event: string; readonly data: unknown }): string {
  const id = message.id === undefined ? '' : `id: ${message.id}\n`;
  return `${id}event: ${message.event}\ndata: ${stringifyJson(message.data)}\n\n`;
}
