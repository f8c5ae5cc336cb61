import type { ServerResponse } from 'node:http';
import type { Domain } from '../../domain/domain.ts';
import type { EventRecord } from '../../domain/ports/store.ts';
import type { HttpLimits } from '../http-limits.ts';
import { EventPages, frame, frameOf } from './event-pages.ts';

/*
 * Event streams. A new client first receives the stored events behind the number that it gave, page by page and no faster than it
 * reads. Clients that catch up are served round robin. Then the client receives each new event. A client that reads too slowly
 * receives the missed events from the log later, so that little data waits for it in memory. A client that reads nothing while
 * many events happen, or for a whole heartbeat, is disconnected: it reconnects with its last number, and no event is lost.
 */

/** When the service closes, all clients together are sent as many bytes as this number of clients may have waiting. */
const CLOSING_SHARES = 16;

type Shared = {
  readonly domain: Domain;
  readonly limits: HttpLimits;
  readonly pages: EventPages;
  readonly catchUp: RoundRobin;
  readonly report: (error: unknown) => void;
};

/** The event streams of one app. */
export class EventStreams {
  readonly #shared: Shared;
  readonly #followers = new Map<ServerResponse, Follower>();

  /** @param report logs an error of a read of the event log; the stream that needed the read is ended */
  constructor(domain: Domain, limits: HttpLimits, report: (error: unknown) => void) {
    const pages = new EventPages(domain.events, limits.eventPageMax);
    this.#shared = { domain, limits, pages, report, catchUp: new RoundRobin(() => pages.clear()) };
  }

  /** Number of open streams. */
  get size(): number {
    return this.#followers.size;
  }

  /**
   * Sends events until the client disconnects or the stream is ended.
   * @param since number of the newest event that the client has; null: only future events
   */
  follow(response: ServerResponse, since: number | null): void {
    const { domain, limits } = this.#shared;
    const follower = new Follower(this.#shared, response);
    this.#followers.set(response, follower);
    const unsubscribe = domain.events.subscribe((event) => follower.onEvent(event));
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

  /** Ends all streams with a `bye` event. */
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
  /** False while the log has events that the client has not been sent. */
  #isLive = false;
  /** Bytes of events that happened since the client last read something. */
  #missedBytes = 0;
  /** True if data waited for the client at the last heartbeat, and it has read nothing since. */
  #isStuck = false;

  constructor(shared: Shared, response: ServerResponse) {
    this.#shared = shared;
    this.#response = response;
  }

  begin(since: number | null): void {
    const { newest } = this.#shared.domain.events.bounds();
    // No client has a number beyond the newest event. A stream with such a number starts at the end of the log.
    this.#last = Math.min(since ?? newest, newest);
    if (this.#last === newest) this.#isLive = true;
    else this.#shared.catchUp.add(this);
  }

  /** Sends one page of stored events. @returns true if the client can take another page */
  step(): boolean {
    if (this.#isLive || this.#response.destroyed || this.#response.writableNeedDrain) return false;
    this.#sendPage();
    return !this.#isLive && !this.#response.writableNeedDrain;
  }

  fail(error: unknown): void {
    this.#shared.report(error);
    this.#response.destroy();
  }

  /** Sends a new event, or leaves it in the log if the client is behind. */
  onEvent(event: EventRecord): void {
    if (event.id <= this.#last) return;
    const response = this.#response;
    if (this.#isLive && !response.writableNeedDrain) {
      this.#last = event.id;
      response.write(frameOf(event));
      return;
    }
    this.#isLive = false;
    // A client whose socket can take data waits only for the round robin, so the event does not count as missed.
    if (!response.writableNeedDrain) return;
    this.#missedBytes += frameOf(event).length;
    if (this.#missedBytes > this.#shared.limits.eventBufferBytesMax) response.destroy();
  }

  /** The client has read everything that waited for it. */
  drained(): void {
    this.#missedBytes = 0;
    this.#isStuck = false;
    if (!this.#isLive) this.#shared.catchUp.add(this);
  }

  /** Sends a heartbeat, or ends the stream of a client that has read nothing since the last one. */
  beat(): void {
    if (this.#isStuck) this.#response.destroy();
    else if (this.#response.writableNeedDrain) this.#isStuck = true;
    else this.#response.write(':\n\n');
  }

  /** Sends the missing events, at most `bytesMax` and a page, even if data already waits for the client. */
  finish(bytesMax: number): void {
    for (let bytes = 0; !this.#isLive && bytes < bytesMax; ) bytes += this.#sendPage();
  }

  /** @returns bytes of the page */
  #sendPage(): number {
    const page = this.#shared.pages.after(this.#last);
    if (page === null) {
      this.#isLive = true;
      return 0;
    }
    // Events can be pruned while a slow client catches up.
    if (page.first > this.#last + 1) {
      const data = { from: this.#last + 1, to: page.first - 1 };
      this.#response.write(frame({ event: 'gap', data }));
    }
    this.#last = page.last;
    this.#response.write(page.bytes);
    return page.bytes.length;
  }
}

/** Work that is done in steps. */
type SteppedTask = {
  /** Does one step. @returns true if another step can follow */
  step(): boolean;
  /** Is called when a step threw; no step follows. */
  fail(error: unknown): void;
};

/**
 * Runs tasks round robin, one step of one task in each iteration of the event loop. However many clients reconnect at once, no
 * other request waits longer than the sending of one page takes.
 */
class RoundRobin {
  readonly #waiting = new Set<SteppedTask>();
  readonly #onIdle: () => void;
  #next: NodeJS.Immediate | null = null;

  /** @param onIdle is called when no task waits any more */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  /** Adds a task behind the waiting ones, unless it already waits. */
  add(task: SteppedTask): void {
    this.#waiting.add(task);
    this.#next ??= setImmediate(() => this.#runStep());
  }

  #runStep(): void {
    this.#next = null;
    const [task] = this.#waiting;
    if (task === undefined) return;
    this.#waiting.delete(task);
    try {
      if (task.step()) this.#waiting.add(task);
    } catch (error) {
      task.fail(error);
    }
    if (this.#waiting.size === 0) this.#onIdle();
    else this.#next ??= setImmediate(() => this.#runStep());
  }
}
