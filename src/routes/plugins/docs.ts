import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { OPENAPI_FILE } from '../documentation.ts';
import { type Document, documentOf, sendDocument } from '../http/entity-tags.ts';
import type { Server } from '../server-type.ts';
import { HttpError } from './problem-details.ts';

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

/** What the page is made of: an answer of the page's own server, kept. */
type Part = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly document: Document;
};

/**
 * The interactive page at /docs, over the committed OpenAPI document. A server of its own that does not listen makes
 * the page's parts, each when it is first asked for: few ask for them, and that server takes longer to start than all
 * the rest. From then on a part is in memory, and no request for it reads a file.
 */
export function registerDocs(server: Server): void {
  let docs: Promise<Docs> | null = null;
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    docs ??= Docs.open().catch((error: unknown) => {
      docs = null;
      throw error;
    });
    const part = await (await docs).part(request.url.split('?', 1)[0] ?? '');
    if (part === null) throw new HttpError('not_found', 'The interactive page has no such part.');
    const { status, headers, document } = part;
    reply.headers(headers);
    return status === 200 ? sendDocument(request, reply, document) : reply.code(status).send();
  };
  server.get('/docs', answer);
  server.get('/docs/*', answer);
  server.addHook('onClose', async () => {
    if (docs !== null) await (await docs).close();
  });
}

const PREFIX = '/docs';
/** Parts that are no files. */
const MADE = ['', '/', '/json', '/yaml', '/static/index.html', '/static/swagger-initializer.js'];
/** Headers of a part that are not those of its content. */
const KEPT_HEADERS = ['content-security-policy', 'location'];

class Docs {
  readonly #server: Server;
  /** Every path that the page has; null until it is first asked for. */
  readonly #parts: Map<string, Promise<Part> | null>;

  private constructor(server: Server, paths: readonly string[]) {
    this.#server = server;
    this.#parts = new Map(paths.map((path) => [path, null]));
  }

  static async open(): Promise<Docs> {
    const files = readdirSync(new URL('static/', import.meta.resolve('@fastify/swagger-ui')));
    const paths = [...MADE, ...files.map((file) => `/static/${file}`)].map((path) => `${PREFIX}${path}`);
    return new Docs(await docsServer(), paths);
  }

  /** @returns null for a path that the page does not have, however it is spelt. */
  async part(path: string): Promise<Part | null> {
    const known = this.#parts.get(path);
    if (known === undefined) return null;
    if (known !== null) return await known;
    const made = this.#make(path);
    this.#parts.set(path, made);
    return await made;
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  async #make(path: string): Promise<Part> {
    const { statusCode: status, headers, rawPayload } = await this.#server.inject(path);
    const kept = KEPT_HEADERS.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]]));
    return {
      status,
      headers: Object.fromEntries(kept) as Readonly<Record<string, string>>,
      document: documentOf(rawPayload, String(headers['content-type'] ?? 'application/octet-stream')),
    };
  }
}

async function docsServer(): Promise<Server> {
  const [{ default: swagger }, { default: swaggerUi }] = await Promise.all([
    import('@fastify/swagger'),
    import('@fastify/swagger-ui'),
  ]);
  const server = Fastify({ logger: false });
  const specification = { path: fileURLToPath(OPENAPI_FILE), baseDir: fileURLToPath(new URL('.', OPENAPI_FILE)) };
  await server.register(swagger, { mode: 'static', specification });
  await server.register(swaggerUi, {
    routePrefix: PREFIX,
    staticCSP: CONTENT_SECURITY_POLICY,
    uiConfig: { validatorUrl: null, deepLinking: true, displayRequestDuration: true },
    theme: { title: 'vmferry' },
  });
  await server.ready();
  return server;
}
