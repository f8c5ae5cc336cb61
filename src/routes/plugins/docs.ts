import { fileURLToPath } from 'node:url';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { OPENAPI_FILE } from '../documentation.ts';
import type { Server } from '../server-type.ts';
import { HttpError } from './http-errors.ts';
import { registerProblemDetails } from './problem-details.ts';
import { requestIdOf } from './request-id.ts';
import { registerSecurityHeaders } from './security-headers.ts';

/** The page may load what this service serves, and nothing else. The page's styles are set in its markup. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * The interactive page at /docs, over the committed OpenAPI document. It is made when it is first asked for, in a
 * server of its own that does not listen: few ask for it, and it takes longer to start than all the rest.
 */
export function registerDocs(server: Server): void {
  let docs: Promise<Server> | null = null;
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    docs ??= docsServer();
    const { routing } = await docs;
    reply.hijack();
    reply.raw.setHeader('x-request-id', request.id);
    routing(request.raw, reply.raw);
    return reply;
  };
  server.get('/docs', answer);
  server.get('/docs/*', answer);
  server.addHook('onClose', async () => {
    if (docs !== null) await (await docs).close();
  });
}

async function docsServer(): Promise<Server> {
  const [{ default: swagger }, { default: swaggerUi }] = await Promise.all([
    import('@fastify/swagger'),
    import('@fastify/swagger-ui'),
  ]);
  const server = Fastify({ logger: false, genReqId: requestIdOf });
  registerProblemDetails(server);
  registerSecurityHeaders(server);
  server.setNotFoundHandler(() => {
    throw new HttpError('not_found', 'The interactive page has no such part.');
  });
  const specification = { path: fileURLToPath(OPENAPI_FILE), baseDir: fileURLToPath(new URL('.', OPENAPI_FILE)) };
  await server.register(swagger, { mode: 'static', specification });
  await server.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    uiConfig: { validatorUrl: null, deepLinking: true, displayRequestDuration: true },
    theme: { title: 'vmferry' },
  });
  await server.ready();
  return server;
}
