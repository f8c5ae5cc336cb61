import type { Socket } from 'node:net';
import { networkOf } from './rate-limit.ts';

/*
 * Who may stay when all connections are taken. A connection is trusted once a request on it has shown a right token, or,
 * in a service without tokens, once a request has come at all. When there is no room for a new connection, one that is
 * not trusted gives up its place: the oldest one of the address that holds most of them. So a client without a token
 * cannot keep others out, however many connections it opens and however often; and a new client has the time in which all places
 * are taken anew to show its token. Trusted connections are never cut for others.
 */

type Options = {
  readonly connectionsMax: number;
  /** A connection on which no byte has come for so long after its begin is given up. */
  readonly silenceMs: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
};

export class Connections {
  readonly #options: Options;
  readonly #now: () => number;
  /** Those not trusted, by the network that they come from, oldest first, with the time at which they began. */
  readonly #strangers = new Map<string, Map<Socket, number>>();
  /** Those that were cut, until they have closed. */
  readonly #cut = new WeakSet<Socket>();
  #open = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** A connection has come. @returns false if there is no room for it: it has been closed. */
  admit(socket: Socket): boolean {
    if (this.#open >= this.#options.connectionsMax && !this.#cutStranger()) {
      socket.destroy();
      return false;
    }
    const network = networkOf(socket.remoteAddress ?? '');
    const known = this.#strangers.get(network) ?? new Map<Socket, number>();
    this.#strangers.set(network, known.set(socket, this.#now()));
    this.#open += 1;
    socket.once('close', () => {
      this.#forget(socket, network);
      // One that was cut has left its place already.
      if (!this.#cut.delete(socket)) this.#open -= 1;
    });
    return true;
  }

  /** The connection has shown that it may stay. */
  trust(socket: Socket): void {
    this.#forget(socket, networkOf(socket.remoteAddress ?? ''));
  }

  /** Connections that have said nothing for too long. */
  silent(): readonly Socket[] {
    const before = this.#now() - this.#options.silenceMs;
    const strangers = [...this.#strangers.values()].flatMap((known) => [...known]);
    return strangers.filter(([socket, since]) => since <= before && socket.bytesRead === 0).map(([socket]) => socket);
  }

  #cutStranger(): boolean {
    let most: Map<Socket, number> | null = null;
    for (const known of this.#strangers.values()) if (known.size > (most?.size ?? 0)) most = known;
    const socket = most?.keys().next().value;
    if (socket === undefined) return false;
    this.#open -= 1;
    this.#cut.add(socket);
    this.trust(socket);
    socket.destroy();
    return true;
  }

  #forget(socket: Socket, network: string): void {
    const known = this.#strangers.get(network);
    if (known?.delete(socket) === true && known.size === 0) this.#strangers.delete(network);
  }
}
