// Builds the OpenAPI document from the operations and the schemas of the command table.

import { readFileSync } from 'node:fs';
import * as address from '../../src/commands/schemas/address.ts';
import * as announce from '../../src/commands/schemas/announce.ts';
import * as audit from '../../src/commands/schemas/audit.ts';
import * as blockers from '../../src/commands/schemas/blockers.ts';
import * as common from '../../src/commands/schemas/common.ts';
import * as dirtyRate from '../../src/commands/schemas/dirty-rate.ts';
import * as history from '../../src/commands/schemas/history.ts';
import * as jobs from '../../src/commands/schemas/jobs.ts';
import * as machine from '../../src/commands/schemas/machine.ts';
import * as migrate from '../../src/commands/schemas/migrate.ts';
import * as options from '../../src/commands/schemas/options.ts';
import * as snapshots from '../../src/commands/schemas/snapshots.ts';
import * as xen from '../../src/commands/schemas/xen.ts';
import { OPERATIONS } from '../../src/routes/index.ts';
import {
  argumentsSchemaOf,
  BODY_ERRORS,
  beginsSomething,
  COMMON_ERRORS,
  type Operation,
  type Reply,
  STORE_ERRORS,
  writesSomething,
} from '../../src/routes/operation.ts';
import { ALL_ERROR_CODES, type AnyErrorCode, describeCode, problem } from '../../src/routes/plugins/problem-details.ts';

type Json = Record<string, unknown>;

const TAGS = [
  { name: 'migration', description: 'Start, watch and end a migration.' },
  { name: 'snapshots', description: 'The machine and its disks, kept under a tag.' },
  { name: 'jobs', description: 'Work that takes longer than an answer may.' },
  { name: 'settings', description: 'Capabilities, parameters and blockers.' },
  { name: 'history', description: 'Every migration ever made here.' },
  { name: 'machine', description: 'The machine that this service holds.' },
  { name: 'events', description: 'What happens, as it happens.' },
  { name: 'service', description: 'Health and documentation.' },
];

/** Schemas by their JSON text: wherever the text turns up, a reference takes its place. */
const NAMED = new Map(
  [address, announce, audit, blockers, common, dirtyRate, history, jobs, machine, migrate, options, snapshots, xen]
    .flatMap((family) => Object.entries(family as Json))
    .filter(([name, schema]) => /^[A-Z][a-z]/.test(name) && typeof schema === 'object' && name !== 'Empty')
    .map(([name, schema]) => [JSON.stringify(schema), name]),
);

/** The whole document, as it is committed. */
export function openApiDocument(operations: readonly Operation[] = OPERATIONS): Json {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  };
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    const path = operation.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: operationObject(operation) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'vmferry',
      version,
      description: 'Live migration of virtual machines. Errors are problem details (RFC 9457) with a stable code.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    // Either is enough: a service without a token file asks for nothing.
    security: [{}, { token: [] }],
    tags: TAGS,
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            "A token of the service's token file. Those of viewers only look; without such a file none is asked for.",
        },
      },
      schemas: { ...namedSchemas(paths), Problem: problemSchema() },
    },
  };
}

function operationObject(operation: Operation): Json {
  const { id, tag, command, description, replies } = operation;
  const summary = operation.summary ?? command?.summary;
  if (summary === undefined) throw new Error(`${id} has no summary`);
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    // Asked for by those who watch the process, who have no token.
    ...(operation.path === '/healthz' ? { security: [{}] } : {}),
    ...(command === null ? {} : { 'x-command': command.name, 'x-role': command.role }),
    parameters: parametersOf(operation),
    ...(takesBody(operation) ? { requestBody: requestBodyOf(operation) } : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(replies).map(([status, reply]) => [status, replyObject(operation, status, reply)]),
      ),
      ...errorResponses(operation),
    },
  };
}

function parametersOf(operation: Operation): readonly Json[] {
  const names = [...operation.path.matchAll(/:(\w+)/g)].map((match) => match[1] ?? '');
  const example = operation.examples[0];
  const inPath = names.map((name) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(example?.params?.[name] === undefined ? {} : { example: example.params[name] }),
  }));
  const takesQuery = operation.input === 'query' || operation.input === 'body or query';
  const schema = (takesQuery ? (argumentsSchemaOf(operation) ?? operation.query) : undefined) as Json;
  const properties = Object.entries((schema?.properties ?? {}) as Json).filter(([name]) => !names.includes(name));
  const inQuery = properties.map(([name, property]) => ({
    name,
    in: 'query',
    schema: referenced(property),
    ...(example?.query?.[name] === undefined ? {} : { example: example.query[name] }),
  }));
  const inHeader = Object.entries(operation.headers ?? {}).map(([name, description]) => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  }));
  return [...inPath, ...inQuery, ...inHeader];
}

function takesBody({ input }: Operation): boolean {
  return input === 'body' || input === 'body or query';
}

/** The members of the body: the arguments, without those that the path gives. */
function requestBodyOf(operation: Operation): Json {
  const { input, path, examples, bodyType = 'application/json' } = operation;
  const withBody = examples.filter(({ body }) => body !== undefined);
  const named = Object.fromEntries(withBody.map(({ name, body }) => [name, { value: body }]));
  const schema = withoutMembers(argumentsSchemaOf(operation) ?? operation.body, path);
  return {
    required: input === 'body',
    content: { [bodyType]: { schema, ...(withBody.length === 0 ? {} : { examples: named }) } },
  };
}

function withoutMembers(schema: unknown, path: string): unknown {
  const names = [...path.matchAll(/:(\w+)/g)].map((match) => match[1] ?? '');
  if (names.length === 0) return referenced(schema);
  const { properties, required = [], ...rest } = schema as { properties: Json; required?: readonly string[] };
  const left = Object.entries(properties).filter(([name]) => !names.includes(name));
  const needed = required.filter((name) => !names.includes(name));
  const shown = { ...rest, ...(needed.length === 0 ? {} : { required: needed }), properties: Object.fromEntries(left) };
  return referenced(shown);
}

function replyObject({ examples }: Operation, status: string, reply: Reply): Json {
  const headers = Object.fromEntries(
    Object.entries(reply.headers ?? {}).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' } },
    ]),
  );
  const fitting = examples.filter((example) => String(example.status) === status && example.answer !== undefined);
  const named = Object.fromEntries(fitting.map(({ name, answer }) => [name, { value: answer }]));
  const media = { schema: referenced(reply.schema), ...(fitting.length === 0 ? {} : { examples: named }) };
  return {
    description: reply.description,
    ...(reply.headers === undefined ? {} : { headers }),
    ...(reply.schema === null ? {} : { content: { [reply.type ?? 'application/json']: media } }),
  };
}

/** One response for each status, with every code that has it. */
function errorResponses(operation: Operation): Json {
  const bodyErrors = operation.method === 'GET' ? [] : BODY_ERRORS;
  const pathErrors: readonly AnyErrorCode[] = operation.path.includes(':') ? ['path_too_long'] : [];
  const rateErrors: readonly AnyErrorCode[] = beginsSomething(operation) ? ['too_many_requests'] : [];
  const storeErrors = writesSomething(operation) ? STORE_ERRORS : [];
  const general = [...COMMON_ERRORS, ...storeErrors, ...rateErrors, ...pathErrors, ...bodyErrors];
  const codes = [...new Set([...general, ...operation.errors])];
  const byStatus = Map.groupBy(codes, (code) => describeCode(code).status);
  return Object.fromEntries(
    [...byStatus]
      // A status that has an answer of its own (not ready: 503) is described there.
      .filter(([status]) => operation.replies[status] === undefined)
      .map(([status, group]) => [status, errorResponse(group)]),
  );
}

function errorResponse(codes: readonly AnyErrorCode[]): Json {
  const examples = Object.fromEntries(
    codes.slice(0, 1).map((code) => [code, { value: problem(code, `${describeCode(code).title}.`) }]),
  );
  return {
    description: `${codes.map((code) => `\`${code}\`: ${describeCode(code).title}`).join('; ')}.`,
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' }, examples } },
  };
}

function problemSchema(): Json {
  return {
    type: 'object',
    required: ['type', 'title', 'status', 'detail', 'code', 'errors', 'qmp-class'],
    properties: {
      type: { type: 'string', description: 'A page about the code.' },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string', description: 'For people: what was given, and what is allowed.' },
      code: { type: 'string', enum: [...ALL_ERROR_CODES].sort(), description: 'Stable: clients may branch on it.' },
      errors: {
        type: 'array',
        description: 'Everything that was wrong at once.',
        items: {
          type: 'object',
          required: ['pointer', 'reason'],
          properties: {
            pointer: { type: 'string', description: 'JSON pointer (RFC 6901).' },
            reason: { type: 'string' },
          },
        },
      },
      'qmp-class': { type: 'string', enum: ['GenericError', 'CommandNotFound'] },
    },
  };
}

/** Those that the paths lead to, directly or through others. */
function namedSchemas(paths: Json): Json {
  const all = new Map([...NAMED].map(([text, name]) => [name, mapMembers(JSON.parse(text) as Json)]));
  const used = new Set<string>();
  const follow = (schema: unknown): void => {
    for (const [, name = ''] of JSON.stringify(schema).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (used.has(name) || !all.has(name)) continue;
      used.add(name);
      follow(all.get(name));
    }
  };
  follow(paths);
  const entries = [...all].filter(([name]) => used.has(name));
  return Object.fromEntries(entries.sort(([a], [b]) => a.localeCompare(b)));
}

/** A schema in which every named one is a reference. */
function referenced(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map(referenced);
  const name = NAMED.get(JSON.stringify(schema));
  return name === undefined ? mapMembers(schema as Json) : { $ref: `#/components/schemas/${name}` };
}

function mapMembers(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).map(([name, member]) => [name, referenced(member)]));
}
