import { readFileSync } from 'node:fs';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { TRANSFER_ERRORS } from '../domain/ports/transfer-errors.ts';
import * as examples from './examples/service.ts';
import { DOCUMENT_HEADERS, type Document, documentOf, sendDocument } from './http/entity-tags.ts';
import type { Call, Operation } from './operation.ts';
import { ALL_ERROR_CODES, HttpError } from './plugins/problem-details.ts';
import { sendJson } from './register.ts';

/** Where the error pages and the committed OpenAPI document lie. */
const ERRORS_DIRECTORY = new URL('../../docs/errors/', import.meta.url);
export const OPENAPI_FILE = new URL('../../openapi/openapi.json', import.meta.url);

/** Every code that has a page: of answers that refuse something, and of migrations that failed. */
const EXPLAINED: ReadonlySet<string> = new Set([...ALL_ERROR_CODES, ...Object.keys(TRANSFER_ERRORS)]);

/** What is answered of a document beside the whole of it. */
function partsOf(type?: string): Operation['replies'] {
  const headers = { 'Content-Range': 'Which bytes these are.', ...DOCUMENT_HEADERS };
  const whole = { description: 'The range that was asked for.', schema: Type.String(), headers };
  return {
    206: type === undefined ? whole : { ...whole, type },
    304: { description: 'The content has the tag that If-None-Match gives.', schema: null, headers: DOCUMENT_HEADERS },
  };
}

const RANGE = { Range: 'One range of bytes.', 'If-None-Match': 'A tag seen before: 304 if nothing has changed since.' };

const Index = Type.Object({ name: Type.String(), documentation: Type.String(), openapi: Type.String() });

export const documentationOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/',
    id: 'getIndex',
    tag: 'service',
    command: null,
    summary: 'Where to go from here',
    description: 'The addresses of the API page and of this document.',
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
    summary: 'This description, for machines',
    description: 'The same document as openapi/openapi.json of the sources.',
    input: 'query',
    replies: {
      200: {
        description: 'OpenAPI 3.1.',
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
    summary: 'What an error code means and what to do',
    description: 'Every code of a problem document, of a failed migration and of a failed job has a page.',
    input: 'query',
    replies: {
      200: {
        description: 'A page in Markdown.',
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

/** What was read so far, by the file's name: at most the committed document and a page for each code. */
const read = new Map<string, Document>();

/** The committed OpenAPI document. */
export function openApi(): Document {
  return documentIn(OPENAPI_FILE, 'application/json; charset=utf-8');
}

function errorPage(code: string): Document {
  return documentIn(new URL(`${code}.md`, ERRORS_DIRECTORY), 'text/markdown; charset=utf-8');
}

/** Reads a file the first time, in one go: a start does not need it, and a thread of the pool might not be free. */
function documentIn(file: URL, type: string): Document {
  const known = read.get(file.href);
  if (known !== undefined) return known;
  const document = documentOf(readFileSync(file), type);
  read.set(file.href, document);
  return document;
}
