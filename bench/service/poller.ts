import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks one question over and over on one kept connection, with as little work of its own as can be: on a machine whose
 * cores are all busy, an asking process is part of what is measured.
 */
export class Poller {
  readonly #socket: net.Socket;
  readonly #request: string;
  #answered: (() => void) | null = null;
  #received = '';

  private constructor(socket: net.Socket, request: string) {
    this.#socket = socket;
    this.#request = request;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#receive(text));
  }

  static async connect(url: string, path: string): Promise<Poller> {
    const { hostname, port, host } = new URL(url);
    const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new Poller(socket, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  }

  /** Resolves when the whole answer is there. */
  ask(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#answered = resolve;
    this.#socket.write(this.#request);
    return promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = /^content-length: (\d+)/im.exec(this.#received)?.[1];
    if (length === undefined || this.#received.length < end + 4 + Number(length)) return;
    if (!this.#received.startsWith('HTTP/1.1 200')) throw new Error(this.#received.slice(0, 80));
    this.#received = '';
    this.#answered?.();
  }
}

export type SteadyPolling = {
  readonly url: string;
  readonly path: string;
  readonly requestsPerSecond: number;
  readonly isOver: () => boolean;
  /** Told the milliseconds of each answer. */
  readonly tell: (latencyMs: number) => void;
};

/** Asks at a steady rate. An answer that is late counts from when its question was due. */
export async function pollSteadily({ url, path, requestsPerSecond, isOver, tell }: SteadyPolling): Promise<void> {
  const poller = await Poller.connect(url, path);
  const started = performance.now();
  for (let count = 0; !isOver(); count += 1) {
    const due = started + (count * 1000) / requestsPerSecond;
    const isLate = performance.now() > due;
    if (!isLate) await sleep(due - performance.now());
    const asked = isLate ? due : performance.now();
    await poller.ask();
    tell(performance.now() - asked);
  }
  poller.close();
}
