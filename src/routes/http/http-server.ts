import { createServer, type Server as HttpServer, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { type HttpLimits, networkOf } from '../http-limits.ts';
import { answerConnect } from '../plugins/request-framing.ts';
import { PipelinedRequests } from './pipelined-requests.ts';

type Options = {
  readonly limits: HttpLimits;
  readonly connections: Connections;
  /** True if every request makes its connection trusted; false if only a valid token does. */
  readonly trustsRequests: boolean;
};

/** Creates Node's HTTP server with the limits of this service. It does not listen yet. */
export function createHttpServer(listener: RequestListener, options: Options): HttpServer {
  const { limits, connections, trustsRequests } = options;
  const pipelines = new WeakMap<Socket, PipelinedRequests>();
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.connectionsCheckMs,
    maxHeaderSize: limits.headerBytesMax,
    insecureHTTPParser: false,
    // plugins/request-framing.ts refuses a request without Host, with a problem document.
    requireHostHeader: false,
  });
  server.setTimeout(limits.connectionTimeoutMs);
  // Node also counts destroyed connections until their handles are closed.
  server.maxConnections = 2 * limits.connectionsMax;
  server.on('connection', (socket) => {
    if (connections.admit(socket)) pipelines.set(socket, new PipelinedRequests(socket));
  });
  server.on('request', (request, response) => {
    if (trustsRequests) connections.trust(request.socket);
    pipelines.get(request.socket)?.begun(request, response);
    listener(request, response);
  });
  // Node itself would answer expectations other than 100-continue, and close a CONNECT request without an answer.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  server.on('connect', (_request, socket) => answerConnect(socket as Socket));
  server.on('clientError', (_error, socket) => pipelines.get(socket as Socket)?.stop());
  endSilentConnections(server, options);
  return server;
}

/** Ends connections on which no byte has arrived, earlier than Node's timeout for requests. */
function endSilentConnections(server: HttpServer, { limits, connections }: Options): void {
  server.once('listening', () => {
    const timer = setInterval(() => {
      for (const socket of connections.silent()) {
        const error = Object.assign(new Error('nothing came'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
        server.emit('clientError', error, socket);
      }
    }, limits.connectionsCheckMs);
    timer.unref();
    server.once('close', () => clearInterval(timer));
  });
}

/*
 * Admission of connections. A connection is trusted once a request on it had a valid token, or, in a service without tokens, once
 * it had any request. When the maximum is reached, a new connection replaces an untrusted one: the oldest of the address that has the
 * most untrusted connections. So a client without a token cannot keep other clients out, however many connections it opens. A
 * trusted connection is never closed for a new one.
 */

type ConnectionLimits = {
  readonly connectionsMax: number;
  /** Milliseconds after which a connection without a single byte is closed. */
  readonly silenceMs: number;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
};

export class Connections {
  readonly #options: ConnectionLimits;
  readonly #now: () => number;
  /** Untrusted connections by the network of the client, oldest first, with the time at which they were accepted. */
  readonly #untrusted = new Map<string, Map<Socket, number>>();
  /** Connections that were destroyed for a new one and are not closed yet. */
  readonly #cut = new WeakSet<Socket>();
  #open = 0;

  constructor(options: ConnectionLimits) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Accepts a connection. @returns false if there is no room, and the connection was closed */
  admit(socket: Socket): boolean {
    if (this.#open >= this.#options.connectionsMax && !this.#closeUntrusted()) {
      socket.destroy();
      return false;
    }
    const network = networkOf(socket.remoteAddress ?? '');
    const known = this.#untrusted.get(network) ?? new Map<Socket, number>();
    this.#untrusted.set(network, known.set(socket, this.#now()));
    this.#open += 1;
    socket.once('close', () => {
      this.#forget(socket, network);
      // A connection destroyed for a new one is no longer counted.
      if (!this.#cut.delete(socket)) this.#open -= 1;
    });
    return true;
  }

  /** Marks a connection as trusted. */
  trust(socket: Socket): void {
    this.#forget(socket, networkOf(socket.remoteAddress ?? ''));
  }

  /** Connections on which no byte has arrived for `silenceMs`. */
  silent(): readonly Socket[] {
    const before = this.#now() - this.#options.silenceMs;
    const untrusted = [...this.#untrusted.values()].flatMap((known) => [...known]);
    return untrusted.filter(([socket, since]) => since <= before && socket.bytesRead === 0).map(([socket]) => socket);
  }

  #closeUntrusted(): boolean {
    let most: Map<Socket, number> | null = null;
    for (const known of this.#untrusted.values()) if (known.size > (most?.size ?? 0)) most = known;
    const socket = most?.keys().next().value;
    if (socket === undefined) return false;
    this.#open -= 1;
    this.#cut.add(socket);
    this.trust(socket);
    socket.destroy();
    return true;
  }

  #forget(socket: Socket, network: string): void {
    const known = this.#untrusted.get(network);
    if (known?.delete(socket) === true && known.size === 0) this.#untrusted.delete(network);
  }
}
