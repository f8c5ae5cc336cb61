import { createServer, type Server as HttpServer, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import type { Connections } from './http/connections.ts';
import { Pipeline } from './http/pipeline.ts';
import type { HttpLimits } from './limits.ts';
import { answerConnect } from './plugins/client-errors.ts';

type Options = {
  readonly limits: HttpLimits;
  readonly connections: Connections;
  /** True if any request makes its connection trusted, and not only one with a token. */
  readonly trustsRequests: boolean;
};

/** Node's HTTP server with the limits of this service, not listening. */
export function createHttpServer(listener: RequestListener, options: Options): HttpServer {
  const { limits, connections, trustsRequests } = options;
  const pipelines = new WeakMap<Socket, Pipeline>();
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.connectionsCheckMs,
    maxHeaderSize: limits.headerBytesMax,
    insecureHTTPParser: false,
    // A request without Host is refused where every other is, with a problem for its answer.
    requireHostHeader: false,
  });
  server.setTimeout(limits.connectionTimeoutMs);
  // Node counts connections that were cut until their handles are closed.
  server.maxConnections = 2 * limits.connectionsMax;
  server.on('connection', (socket) => {
    if (connections.admit(socket)) pipelines.set(socket, new Pipeline(socket));
  });
  server.on('request', (request, response) => {
    if (trustsRequests) connections.trust(request.socket);
    pipelines.get(request.socket)?.begun(request, response);
    listener(request, response);
  });
  // Node would answer other expectations than 100-continue itself, and close a tunnel without a word.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  server.on('connect', (_request, socket) => answerConnect(socket as Socket));
  server.on('clientError', (_error, socket) => pipelines.get(socket as Socket)?.stop());
  endSilence(server, options);
  return server;
}

/** What Node does for requests that do not arrive in time is done earlier where nothing has come at all. */
function endSilence(server: HttpServer, { limits, connections }: Options): void {
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
