import type { ServerResponse } from 'node:http';
import type { Domain, EventRecord } from '../../commands/domain.ts';
import type { HttpLimits } from '../limits.ts';
import { EventPages, frame, frameOf } from './event-pages.ts';
import { EventTurns } from './event-turns.ts';

/*
 * Clients that follow the events. Each is given first what the log holds behind the number it knows, page by page and
 * no faster than it reads, in turns with all others that catch up; then every new event as it happens. A client that does
 * not keep up is given the rest from the log again, so that hardly anything waits for it in memory. A client that takes
 * nothing at all while too much happens, or for too long, is cut off: it comes back with the number it has, and nothing
 * is skipped in silence.
 */

/** Closing gives no more bytes to all clients together than these many clients may have alone. */
const CLOSING_SHARES = 16;

type Shared = {
  readonly domain: Domain;
  readonly limits: HttpLimits;
  readonly pages: EventPages;
  readonly turns: EventTurns;
  readonly report: (error: unknown) => void;
};

/** The event streams of one app. */
export class EventStreams {
  readonly #shared: Shared;
  readonly #followers = new Map<ServerResponse, Follower>();

  /** @param report is given what a read of the log threw; the stream that needed it is cut. */
  constructor(domain: Domain, limits: HttpLimits, report: (error: unknown) => void) {
    const pages = new EventPages(domain.events, limits.eventPageMax);
    this.#shared = { domain, limits, pages, report, turns: new EventTurns(() => pages.clear()) };
  }

  /** How many are open. */
  get size(): number {
    return this.#followers.size;
  }

  /** Follows until the client goes, is cut, or all are ended. @param since newest event that the client knows; null: it wants only what happens from now on. */
  follow(response: ServerResponse, since: number | null): void {
    const { domain, limits } = this.#shared;
    const follower = new Follower(this.#shared, response);
    this.#followers.set(response, follower);
    const unsubscribe = domain.events.subscribe((event) => follower.happened(event));
    const heartbeat = setInterval(() => follower.beat(), limits.eventHeartbeatMs);
    heartbeat.unref();
    response.once('close', () => {
      clearInterval(heartbeat);
      unsubscribe();
      this.#followers.delete(response);
    });
    response.on('drain', () => follower.drained());
    response.write('retry: 1000\n\n');
    follower.begin(since);
  }

  /** Ends all with a last word. */
  endAll(reason: string): void {
    const share = Math.min(1, CLOSING_SHARES / Math.max(1, this.size));
    for (const [response, follower] of this.#followers) {
      follower.finish(this.#shared.limits.eventBufferBytesMax * share);
      response.end(frame({ event: 'bye', data: { reason } }));
    }
  }
}

class Follower {
  readonly #shared: Shared;
  readonly #response: ServerResponse;
  #last = 0;
  /** False while the log still holds events that the client has not been given. */
  #isLive = false;
  /** Bytes of events that happened since the client last took something. */
  #missedBytes = 0;
  /** True if the client has taken nothing since the last heartbeat, though something waits for it. */
  #isStuck = false;

  constructor(shared: Shared, response: ServerResponse) {
    this.#shared = shared;
    this.#response = response;
  }

  begin(since: number | null): void {
    const { newest } = this.#shared.domain.events.bounds();
    // Nothing beyond the newest was ever given to a client: a number from there begins where the log ends.
    this.#last = Math.min(since ?? newest, newest);
    if (this.#last === newest) this.#isLive = true;
    else this.#shared.turns.add(this);
  }

  /** Gives one page of what the log holds. @returns true if the client can take the next page. */
  step(): boolean {
    if (this.#isLive || this.#response.destroyed || this.#response.writableNeedDrain) return false;
    this.#givePage();
    return !this.#isLive && !this.#response.writableNeedDrain;
  }

  fail(error: unknown): void {
    this.#shared.report(error);
    this.#response.destroy();
  }

  happened(event: EventRecord): void {
    if (event.id <= this.#last) return;
    const response = this.#response;
    if (this.#isLive && !response.writableNeedDrain) {
      this.#last = event.id;
      response.write(frameOf(event));
      return;
    }
    this.#isLive = false;
    // A client that waits for its turn is not behind by its own doing.
    if (!response.writableNeedDrain) return;
    this.#missedBytes += frameOf(event).length;
    if (this.#missedBytes > this.#shared.limits.eventBufferBytesMax) response.destroy();
  }

  /** The client has taken what waited for it. */
  drained(): void {
    this.#missedBytes = 0;
    this.#isStuck = false;
    if (!this.#isLive) this.#shared.turns.add(this);
  }

  beat(): void {
    if (this.#isStuck) this.#response.destroy();
    else if (this.#response.writableNeedDrain) this.#isStuck = true;
    else this.#response.write(':\n\n');
  }

  /** Gives what it was not given yet, up to a page beyond `bytesMax`, whether the client is full or not. */
  finish(bytesMax: number): void {
    for (let bytes = 0; !this.#isLive && bytes < bytesMax; ) bytes += this.#givePage();
  }

  /** @returns bytes of the page. */
  #givePage(): number {
    const page = this.#shared.pages.after(this.#last);
    if (page === null) {
      this.#isLive = true;
      return 0;
    }
    // Events may also be pruned while a slow client catches up.
    if (page.first > this.#last + 1) {
      const data = { from: this.#last + 1, to: page.first - 1 };
      this.#response.write(frame({ event: 'gap', data }));
    }
    this.#last = page.last;
    this.#response.write(page.bytes);
    return page.bytes.length;
  }
}
