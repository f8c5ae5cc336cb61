import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { OPENAPI_FILE } from '../documentation.ts';

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

/** The interactive page at /docs, over the committed OpenAPI document. */
export async function registerDocs(server: FastifyInstance): Promise<void> {
  const { default: swagger } = await import('@fastify/swagger');
  const { default: swaggerUi } = await import('@fastify/swagger-ui');
  await server.register(async (scope) => {
    const specification = { path: fileURLToPath(OPENAPI_FILE), baseDir: fileURLToPath(new URL('.', OPENAPI_FILE)) };
    await scope.register(swagger, { mode: 'static', specification });
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: CONTENT_SECURITY_POLICY,
      uiConfig: { validatorUrl: null, deepLinking: true, displayRequestDuration: true },
      theme: { title: 'vmferry' },
    });
  });
}
