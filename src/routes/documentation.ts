import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { TRANSFER_ERRORS } from '../domain/ports/transfer-errors.ts';
import * as examples from './examples/service.ts';
import { DOCUMENT_HEADERS, type Document, documentOf, sendDocument } from './http/entity-tags.ts';
import type { Call, Operation } from './operation.ts';
import type { Server } from './plugins/common-hooks.ts';
import { ALL_ERROR_CODES, HttpError } from './plugins/problem-details.ts';
import { sendJson } from './register.ts';

/** Directory of the error pages. */
const ERRORS_DIRECTORY = new URL('../../docs/errors/', import.meta.url);
export const OPENAPI_FILE = new URL('../../openapi/openapi.json', import.meta.url);

/** Error codes that have a page: those of refused requests and those of failed migrations. */
const EXPLAINED: ReadonlySet<string> = new Set([...ALL_ERROR_CODES, ...Object.keys(TRANSFER_ERRORS)]);

/** The answers of a document other than the whole document. */
function partsOf(type?: string): Operation['replies'] {
  const headers = { 'Content-Range': 'The range of bytes in this answer.', ...DOCUMENT_HEADERS };
  const whole = { description: 'The requested range.', schema: Type.String(), headers };
  return {
    206: type === undefined ? whole : { ...whole, type },
    304: {
      description: 'The content still has the tag that If-None-Match gives.',
      schema: null,
      headers: DOCUMENT_HEADERS,
    },
  };
}

const RANGE = {
  Range: 'One range of bytes.',
  'If-None-Match': 'A tag from an earlier answer: 304 if nothing has changed.',
};

const Index = Type.Object({ name: Type.String(), documentation: Type.String(), openapi: Type.String() });

export const documentationOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/',
    id: 'getIndex',
    tag: 'service',
    command: null,
    summary: 'List the addresses of the documentation',
    description: 'Returns the paths of the interactive API page and of this document.',
    input: 'query',
    replies: { 200: { description: 'Links.', schema: Index } },
    errors: [],
    examples: examples.index,
    handle: async ({ reply }) => sendJson(reply, { name: 'vmferry', documentation: '/docs', openapi: '/openapi.json' }),
  },
  {
    method: 'GET',
    path: '/openapi.json',
    id: 'getOpenApiDocument',
    tag: 'service',
    command: null,
    summary: 'Get this OpenAPI document',
    description: 'Returns the same document as openapi/openapi.json in the source repository.',
    input: 'query',
    replies: {
      200: {
        description: 'The OpenAPI 3.1 document.',
        schema: Type.Object({ openapi: Type.String() }),
        headers: DOCUMENT_HEADERS,
      },
      ...partsOf(),
    },
    headers: RANGE,
    errors: ['range_not_satisfiable'],
    examples: examples.openapi,
    handle: async ({ request, reply }) => sendDocument(request, reply, openApi()),
  },
  {
    method: 'GET',
    path: '/errors/:code',
    id: 'explainError',
    tag: 'service',
    command: null,
    summary: 'Explain an error code',
    description:
      'Every error code of a refused request, a failed migration and a failed job has a page with its meaning and remedy.',
    input: 'query',
    replies: {
      200: {
        description: 'The page in Markdown.',
        schema: Type.String(),
        type: 'text/markdown',
        headers: DOCUMENT_HEADERS,
      },
      ...partsOf('text/markdown'),
    },
    headers: RANGE,
    errors: ['not_found', 'range_not_satisfiable'],
    examples: examples.explainError,
    handle: sendErrorPage,
  },
];

async function sendErrorPage({ request, reply }: Call): Promise<FastifyReply> {
  const { code } = request.params as { readonly code: string };
  if (!EXPLAINED.has(code)) throw new HttpError('not_found', 'There is no error with this code.');
  return sendDocument(request, reply, errorPage(code));
}

/** Documents that were read so far, by file name: at most the OpenAPI document and one page for each code. */
const read = new Map<string, Document>();

/** The committed OpenAPI document. */
export function openApi(): Document {
  return documentIn(OPENAPI_FILE, 'application/json; charset=utf-8');
}

function errorPage(code: string): Document {
  return documentIn(new URL(`${code}.md`, ERRORS_DIRECTORY), 'text/markdown; charset=utf-8');
}

/** Reads a file at the first request for it. The read is synchronous, because a thread of libuv's pool might not be free. */
function documentIn(file: URL, type: string): Document {
  const known = read.get(file.href);
  if (known !== undefined) return known;
  const document = documentOf(readFileSync(file), type);
  read.set(file.href, document);
  return document;
}

/** The page may load only files of this service. Swagger UI sets its styles in the markup. */
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

/** A file of the page: an answer of the page's own server, cached. */
type PagePart = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly document: Document;
};

/**
 * The interactive page at /docs, which shows the committed OpenAPI document. A second server, which does not listen, creates
 * each part of the page at the first request for it: the page is rarely used, and this server takes longer to start than the
 * rest of the service. Then the part stays in memory, and no request reads a file.
 */
export function registerDocs(server: Server): void {
  let docs: Promise<Docs> | null = null;
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    docs ??= Docs.open().catch((error: unknown) => {
      docs = null;
      throw error;
    });
    const part = await (await docs).part(request.url.split('?', 1)[0] ?? '');
    if (part === null) throw new HttpError('not_found', 'The interactive page has no file at this path.');
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
/** Parts that the second server generates. */
const GENERATED_PARTS = ['', '/', '/json', '/yaml', '/static/index.html', '/static/swagger-initializer.js'];
/** Headers of a part that are sent with its content. */
const KEPT_HEADERS = ['content-security-policy', 'location'];

class Docs {
  readonly #server: Server;
  /** The parts by path; null until the first request for the part. */
  readonly #parts: Map<string, Promise<PagePart> | null>;

  private constructor(server: Server, paths: readonly string[]) {
    this.#server = server;
    this.#parts = new Map(paths.map((path) => [path, null]));
  }

  static async open(): Promise<Docs> {
    const files = readdirSync(new URL('static/', import.meta.resolve('@fastify/swagger-ui')));
    const paths = [...GENERATED_PARTS, ...files.map((file) => `/static/${file}`)].map((path) => `${PREFIX}${path}`);
    return new Docs(await docsServer(), paths);
  }

  /** @returns null if the page has no part with exactly this path */
  async part(path: string): Promise<PagePart | null> {
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

  async #make(path: string): Promise<PagePart> {
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
