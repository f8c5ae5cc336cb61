import { readFile } from 'node:fs/promises';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { TRANSFER_ERRORS } from '../commands/errors.ts';
import * as examples from './examples/service.ts';
import type { Call, Operation } from './operation.ts';
import { HttpError } from './plugins/http-errors.ts';
import { ALL_ERROR_CODES } from './plugins/problem-details.ts';
import { sendJson } from './register.ts';

/** Where the error pages and the committed OpenAPI document lie. */
const ERRORS_DIRECTORY = new URL('../../docs/errors/', import.meta.url);
export const OPENAPI_FILE = new URL('../../openapi/openapi.json', import.meta.url);

/** Every code that has a page: of answers that refuse something, and of migrations that failed. */
const EXPLAINED: ReadonlySet<string> = new Set([...ALL_ERROR_CODES, ...Object.keys(TRANSFER_ERRORS)]);

const Index = Type.Object({ name: Type.String(), documentation: Type.String(), openapi: Type.String() });

export const documentationOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/',
    id: 'index',
    tag: 'service',
    command: null,
    summary: 'Where to go from here',
    input: 'query',
    replies: { 200: { description: 'Links.', schema: Index } },
    errors: [],
    examples: examples.index,
    handle: async ({ reply }) => sendJson(reply, { name: 'vmferry', documentation: '/docs', openapi: '/openapi.json' }),
  },
  {
    method: 'GET',
    path: '/openapi.json',
    id: 'openapi',
    tag: 'service',
    command: null,
    summary: 'This description, for machines',
    input: 'query',
    replies: { 200: { description: 'OpenAPI 3.1.', schema: Type.Object({ openapi: Type.String() }) } },
    errors: [],
    examples: examples.openapi,
    handle: async ({ reply }) => reply.type('application/json; charset=utf-8').send(await readFile(OPENAPI_FILE)),
  },
  {
    method: 'GET',
    path: '/errors/:code',
    id: 'explainError',
    tag: 'service',
    command: null,
    summary: 'What an error code means and what to do',
    input: 'query',
    replies: { 200: { description: 'A page in Markdown.', schema: Type.String(), type: 'text/markdown' } },
    errors: ['not_found'],
    examples: examples.explainError,
    handle: sendErrorPage,
  },
];

async function sendErrorPage({ request, reply }: Call): Promise<FastifyReply> {
  const { code } = request.params as { readonly code: string };
  if (!EXPLAINED.has(code)) throw new HttpError('not_found', 'There is no error with this code.');
  const page = await readFile(new URL(`${code}.md`, ERRORS_DIRECTORY), 'utf8');
  return reply.type('text/markdown; charset=utf-8').send(page);
}
