import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/*
 * Handles the pipelined requests of a connection one at a time. Node's parser emits every request that a client has pipelined
 * before the first is answered, so 10,000 requests would make 10,000 answers wait in memory. Therefore the parser receives one
 * request at a time. Later bytes stay in the socket's buffer, and so at the client, until the answer has been given to the kernel.
 * Other connections are served between two requests of a connection.
 *
 * The bytes are split where a request ends. If the parser had a part of the next request, Node would take the waiting time for a
 * slow client and answer 408.
 */

/** End of a request's headers, of a chunked body, and of its trailers. */
const END = '\r\n\r\n';
/** Bytes of the shortest request: `GET / HTTP/1.1` and two line ends. No piece is shorter, so that blank lines cost little. */
const REQUEST_BYTES_MIN = 18;
/** Bytes of the shortest piece of a chunked body. A piece may contain the end of the body and some requests behind it. */
const CHUNKED_BYTES_MIN = 64;

/** The requests of one connection. */
export class PipelinedRequests {
  readonly #socket: Socket;
  /** Node's own listener, which gives bytes to the parser. */
  readonly #parse: (chunk: Buffer) => void;
  /** Requests that the parser has emitted and whose answers are not complete. */
  #unanswered = 0;
  /** The request that was emitted last. */
  #latest: IncomingMessage | null = null;
  /** Bytes of the latest request's body that have not arrived, if its length is known. */
  #bodyBytesLeft = 0;
  #isAtStart = true;
  /** True while the socket is paused because a request is not answered. */
  #isHeld = false;
  #isStopped = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    const parse = socket.listeners('data')[0];
    if (parse === undefined) throw new TypeError('the HTTP parser has no data listener on its socket');
    this.#parse = parse as (chunk: Buffer) => void;
    socket.off('data', this.#parse);
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
  }

  /** Call this when the parser has emitted a request. */
  begun(request: IncomingMessage, response: ServerResponse): void {
    this.#unanswered += 1;
    this.#latest = request;
    this.#isAtStart = false;
    // The parser refuses a length that is not a number, and a length together with chunks.
    this.#bodyBytesLeft = Number(request.headers['content-length'] ?? 0);
    response.once('close', () => this.#answered());
  }

  /** Discards all further bytes, because the connection is to be closed. */
  stop(): void {
    this.#isStopped = true;
  }

  #answered(): void {
    this.#unanswered -= 1;
    if (!this.#isHeld) return;
    // Resumed in a later iteration of the event loop, so that other connections are served first.
    setImmediate(() => {
      if (!this.#isHeld || !this.#mayParse()) return;
      this.#isHeld = false;
      this.#socket.resume();
    });
  }

  /** The rest of a request's body is always parsed; another request only when all earlier ones are answered. */
  #mayParse(): boolean {
    return this.#unanswered === 0 || this.#latest?.complete === false;
  }

  #received(chunk: Buffer): void {
    const socket = this.#socket;
    let rest = chunk;
    while (rest.length > 0 && !this.#isStopped && !socket.destroyed) {
      // A socket that Node itself paused is resumed by Node: the body's buffer is full, or the client reads no answers.
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
