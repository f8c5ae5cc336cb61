import { randomBytes } from 'node:crypto';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import type { TextMonitor } from '../commands/service.ts';
import type { Domain } from '../domain/domain.ts';
import { DomainError } from '../domain/errors.ts';
import { registerDocs } from './documentation.ts';
import { Connections, createHttpServer } from './http/http-server.ts';
import { KeysInUse } from './http/idempotency-key.ts';
import { assertLimits, HTTP_LIMITS, type HttpLimits, RateLimit } from './http-limits.ts';
import type { FreeSpace, WorkersMemory } from './metrics/metric-family.ts';
import { EventLoopFigures, HttpFigures } from './metrics/running-figures.ts';
import type { QmpAnswers, Readiness } from './operation.ts';
import { type KnownTokens, registerAuthentication } from './plugins/auth.ts';
import {
  registerLatency,
  registerRequestId,
  registerRequestLog,
  registerSecurityHeaders,
  requestIdOf,
  type Server,
} from './plugins/common-hooks.ts';
import { registerMethods } from './plugins/methods.ts';
import { registerAllowedOrigins, registerOriginCheck } from './plugins/origin.ts';
import { registerProblemDetails, sendProblem } from './plugins/problem-details.ts';
import { answerClientError, registerBodyParser, registerFraming } from './plugins/request-framing.ts';
import { registerOperations } from './route-table.ts';

export type ServerOptions = {
  readonly domain: Domain;
  readonly monitor: TextMonitor;
  readonly readiness: () => Readiness;
  readonly qmp: QmpAnswers;
  readonly log: FastifyBaseLogger;
  readonly limits?: Partial<HttpLimits>;
  /** Null if no token is required. */
  readonly tokens: KnownTokens | null;
  /** Web origins whose pages may use the API, in the form of a browser's Origin header, or `*`. */
  readonly allowedOrigins: readonly string[];
  readonly workers: WorkersMemory;
  readonly space: FreeSpace;
};

/** Creates the HTTP server with all routes. It does not listen yet. */
export function createServer(options: ServerOptions): Server {
  const limits: HttpLimits = { ...HTTP_LIMITS, ...options.limits };
  assertLimits(limits);
  const closing = new AbortController();
  const { connectionsMax, silenceTimeoutMs: silenceMs } = limits;
  const connections = new Connections({ connectionsMax, silenceMs });
  const server = fastifyOf(options, limits, connections);
  registerProblemDetails(server);
  registerRequestId(server);
  registerRequestLog(server);
  const httpFigures = new HttpFigures();
  const eventLoop = new EventLoopFigures();
  server.addHook('onClose', async () => eventLoop.close());
  registerLatency(server, httpFigures);
  registerAllowedOrigins(server, { allowed: options.allowedOrigins });
  registerClosing(server, limits, closing);
  registerFraming(server);
  registerOriginCheck(server, { hasTokens: options.tokens !== null, allowed: options.allowedOrigins });
  registerAuthentication(server, { tokens: options.tokens, limits, connections });
  registerBodyParser(server);
  registerSecurityHeaders(server);
  registerMethods(server);
  const instance = randomBytes(6).toString('base64url');
  registerOperations(server, {
    domain: options.domain,
    monitor: options.monitor,
    limits,
    instance,
    httpFigures,
    workers: options.workers,
    space: options.space,
    eventLoop,
    keysInUse: new KeysInUse(),
    startLimit: new RateLimit({
      burst: limits.startsBurst,
      perSecond: limits.startsPerSecond,
      keysMax: limits.rateLimitedAddressesMax,
    }),
    closing: closing.signal,
    readiness: options.readiness,
    qmp: options.qmp,
  });
  registerDocs(server);
  return server;
}

function fastifyOf({ log, tokens }: ServerOptions, limits: HttpLimits, connections: Connections): Server {
  const trustsRequests = tokens === null;
  return Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.bodyBytesMax,
    // Fastify also calls this factory for the second server of a host name with two addresses.
    serverFactory: (listener) => createHttpServer(listener, { limits, connections, trustsRequests }),
    schemaController: {
      compilersFactory: { buildValidator: refuseRouteSchema, buildSerializer: refuseRouteSchema },
    },
    routerOptions: { maxParamLength: limits.parameterLengthMax, caseSensitive: true },
    genReqId: requestIdOf,
    requestIdHeader: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply as never),
  }).withTypeProvider<TypeBoxTypeProvider>();
}

/**
 * Routes have no Fastify schemas: commands check their arguments, and replies are already JSON text. So Fastify's schema
 * compilers, and with them Ajv, are never loaded.
 */
function refuseRouteSchema(): never {
  throw new TypeError('a route has no schema; its command checks the arguments');
}

/** On close: waits end, event streams receive `bye`, new requests are refused, and connections are closed after a grace time. */
function registerClosing(server: Server, limits: HttpLimits, closing: AbortController): void {
  server.addHook('onRequest', async () => {
    if (closing.signal.aborted) throw new DomainError('shutting_down', 'The service is shutting down.');
  });
  server.addHook('preClose', async () => {
    closing.abort();
    setTimeout(() => server.server.closeAllConnections(), limits.closeGraceMs).unref();
  });
}
