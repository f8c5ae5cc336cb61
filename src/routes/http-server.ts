import { createServer, type Server as HttpServer, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { Pipeline } from './http/pipeline.ts';
import type { HttpLimits } from './limits.ts';

/** Node's HTTP server with the limits of this service, not listening. */
export function createHttpServer(listener: RequestListener, limits: HttpLimits): HttpServer {
  const pipelines = new WeakMap<Socket, Pipeline>();
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.connectionsCheckMs,
    maxHeaderSize: limits.headerBytesMax,
    insecureHTTPParser: false,
    requireHostHeader: true,
  });
  server.setTimeout(limits.connectionTimeoutMs);
  server.maxConnections = limits.connectionsMax;
  server.on('connection', (socket) => pipelines.set(socket, new Pipeline(socket)));
  server.on('request', (request, response) => {
    pipelines.get(request.socket)?.begun(request, response);
    listener(request, response);
  });
  server.on('clientError', (_error, socket) => pipelines.get(socket as Socket)?.stop());
  return server;
}
