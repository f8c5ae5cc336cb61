import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Sends the same request repeatedly on one persistent connection, with as little work of its own as possible: if all cores of
 * the machine are busy, the polling process affects the measurement.
 */
export class Poller {
  readonly #socket: net.Socket;
  readonly #head: string;
  readonly #isRevalidating: boolean;
  #tag: string | null = null;
  #answered: (() => void) | null = null;
  #received = '';

  /** Number of 304 answers. */
  unchanged = 0;

  private constructor(socket: net.Socket, head: string, isRevalidating: boolean) {
    this.#socket = socket;
    this.#head = head;
    this.#isRevalidating = isRevalidating;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#receive(text));
  }

  /** @param isRevalidating each request has the tag of the previous answer, and can be answered with 304 */
  static async connect(url: string, path: string, { isRevalidating = false } = {}): Promise<Poller> {
    const { hostname, port, host } = new URL(url);
    const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new Poller(socket, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n`, isRevalidating);
  }

  /** Resolves when the whole answer has arrived. */
  ask(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#answered = resolve;
    const condition = this.#tag === null ? '' : `If-None-Match: ${this.#tag}\r\n`;
    this.#socket.write(`${this.#head}${condition}\r\n`);
    return promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const isUnchanged = this.#tag !== null && this.#received.startsWith('HTTP/1.1 304');
    const length = isUnchanged ? '0' : /^content-length: (\d+)/im.exec(this.#received)?.[1];
    if (length === undefined || this.#received.length < end + 4 + Number(length)) return;
    if (!isUnchanged && !this.#received.startsWith('HTTP/1.1 200')) throw new Error(this.#received.slice(0, 80));
    if (isUnchanged) this.unchanged += 1;
    else if (this.#isRevalidating) this.#tag = /^etag: (\S+)/im.exec(this.#received)?.[1] ?? null;
    this.#received = '';
    this.#answered?.();
  }
}

export type SteadyPolling = {
  readonly url: string;
  readonly path: string;
  readonly requestsPerSecond: number;
  readonly isOver: () => boolean;
  /** As in Poller.connect. Default: false. */
  readonly isRevalidating?: boolean;
  /** Receives the milliseconds of each answer. */
  readonly onAnswer: (latencyMs: number) => void;
};

/**
 * Sends requests at a steady rate. The time of a late answer counts from the scheduled time of its request.
 * @returns the number of 304 answers
 */
export async function pollSteadily(polling: SteadyPolling): Promise<number> {
  const { url, path, requestsPerSecond, isOver, isRevalidating = false, onAnswer } = polling;
  const poller = await Poller.connect(url, path, { isRevalidating });
  const started = performance.now();
  for (let count = 0; !isOver(); count += 1) {
    const due = started + (count * 1000) / requestsPerSecond;
    const isLate = performance.now() > due;
    if (!isLate) await sleep(due - performance.now());
    const asked = isLate ? due : performance.now();
    await poller.ask();
    onAnswer(performance.now() - asked);
  }
  poller.close();
  return poller.unchanged;
}
