import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/*
 * Requests of one connection are handled one after another. Node's parser hands over every request that a client has
 * pipelined before any of them is answered: ten thousand of them would each make an answer that waits in memory for
 * the one before. So the parser is given no more than one request at a time: what comes behind it stays in the socket,
 * and with that in the client, until the answer has been handed to the kernel. Between two requests of a connection all
 * other connections get their turn.
 *
 * The bytes are cut where a request ends, so that the parser never holds a part of a request that may not be handled
 * yet: Node would take the wait for its rest for a slow client and answer 408.
 */

/** The end of a request's headers, of a body in chunks, and of its trailers. */
const END = '\r\n\r\n';
/** Shortest request: `GET / HTTP/1.1` and two line ends. A piece is not cut shorter, so that blank lines are no work. */
const REQUEST_BYTES_MIN = 18;
/** Shortest piece of a body in chunks. So few bytes may hold the end of the body and some requests behind it. */
const CHUNKED_BYTES_MIN = 64;

/** One connection, from its first byte on. */
export class Pipeline {
  readonly #socket: Socket;
  /** Node's own listener: gives bytes to the parser. */
  readonly #parse: (chunk: Buffer) => void;
  /** Requests that the parser has handed over and that have not been answered to the end. */
  #underWay = 0;
  /** The request handed over last; null once it is complete and answered. */
  #latest: IncomingMessage | null = null;
  /** Bytes of the latest request's body that are still to come, where its length is known. */
  #bodyBytesLeft = 0;
  #isAtStart = true;
  /** True while bytes lie in the socket for which there is no turn. */
  #isHeld = false;
  #isStopped = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    const parse = socket.listeners('data')[0];
    if (parse === undefined) throw new TypeError('the HTTP parser does not listen to the data of its socket');
    this.#parse = parse as (chunk: Buffer) => void;
    socket.off('data', this.#parse);
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
  }

  /** The parser has handed over a request. */
  begun(request: IncomingMessage, response: ServerResponse): void {
    this.#underWay += 1;
    this.#latest = request;
    this.#isAtStart = false;
    // The parser has refused every length that is no number, and a length beside chunks.
    this.#bodyBytesLeft = Number(request.headers['content-length'] ?? 0);
    response.once('close', () => this.#answered());
  }

  /** The connection is given up: nothing that comes is read as a request any more. */
  stop(): void {
    this.#isStopped = true;
  }

  #answered(): void {
    this.#underWay -= 1;
    if (!this.#isHeld) return;
    // Later, and not now: other connections have waited meanwhile.
    setImmediate(() => {
      if (!this.#isHeld || !this.#mayParse()) return;
      this.#isHeld = false;
      this.#socket.resume();
    });
  }

  /** The body of a request under way is read whatever happens; another request only when all are answered. */
  #mayParse(): boolean {
    return this.#underWay === 0 || this.#latest?.complete === false;
  }

  #received(chunk: Buffer): void {
    const socket = this.#socket;
    let rest = chunk;
    while (rest.length > 0 && !this.#isStopped && !socket.destroyed) {
      // Node resumes what it has paused itself: the body has no room, or an answer is not taken.
      this.#isHeld = !socket.isPaused() && !this.#mayParse();
      if (this.#isHeld) socket.pause();
      if (socket.isPaused()) {
        socket.unshift(rest);
        return;
      }
      const piece = rest.subarray(0, this.#pieceBytes(rest));
      rest = rest.subarray(piece.length);
      this.#parse(piece);
    }
  }

  #pieceBytes(rest: Buffer): number {
    const isBody = this.#latest?.complete === false;
    if (isBody && this.#bodyBytesLeft > 0) {
      const bytes = Math.min(this.#bodyBytesLeft, rest.length);
      this.#bodyBytesLeft -= bytes;
      this.#isAtStart = this.#bodyBytesLeft === 0;
      return bytes;
    }
    const bytesMin = isBody ? CHUNKED_BYTES_MIN : this.#isAtStart ? REQUEST_BYTES_MIN : END.length;
    const end = rest.indexOf(END, bytesMin - END.length, 'latin1');
    this.#isAtStart = end !== -1;
    return end === -1 ? rest.length : end + END.length;
  }
}
