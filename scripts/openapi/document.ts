// Builds the OpenAPI document from the operations and the schemas of the command table.

import { readFileSync } from 'node:fs';
import { argumentsSchemaOf, type Operation, type Reply } from '../../src/routes/operation.ts';
import { OPEN_PATHS } from '../../src/routes/plugins/auth.ts';
import { ALL_ERROR_CODES } from '../../src/routes/plugins/problem-details.ts';
import { OPERATIONS } from '../../src/routes/route-table.ts';
import { errorResponses, sharedResponses } from './error-responses.ts';
import { INTRODUCTION } from './introduction.ts';
import { withRanges } from './parameter-ranges.ts';
import { type Json, SchemaNames } from './schema-names.ts';

const TAGS = [
  { name: 'migration', description: 'Start, observe and cancel migrations.' },
  { name: 'snapshots', description: 'Save and restore the machine and its disks.' },
  { name: 'jobs', description: 'Work that continues after the answer to its request.' },
  { name: 'settings', description: 'Capabilities, parameters and blockers of migrations.' },
  { name: 'history', description: 'Past migrations and announcements.' },
  { name: 'machine', description: 'The machine of this service and its guest.' },
  { name: 'events', description: 'The event stream.' },
  { name: 'service', description: 'Health, metrics, documentation, QMP and the text monitor.' },
];

const JSON_TYPE = 'application/json';

/** Schemas of migration parameters. The document shows their ranges. */
const PARAMETER_SETS = ['MigrationParameters', 'MigrateSetParameters'];

/** The whole document. */
export function openApiDocument(operations: readonly Operation[] = OPERATIONS): Json {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  };
  const names = namesOf(operations);
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    const path = operation.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: operationObject(operation, names) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'vmferry',
      version,
      description: INTRODUCTION,
      contact: { name: 'The vmferry developers' },
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: TAGS,
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            "A token of the service's token file. A token with the role viewer can only read. A service without a token file needs no token.",
        },
      },
      responses: sharedResponses(paths),
      schemas: namedSchemas(paths, names),
    },
  };
}

function operationObject(operation: Operation, names: SchemaNames): Json {
  const { id, tag, command, description, replies } = operation;
  const summary = operation.summary ?? command?.summary;
  if (summary === undefined) throw new Error(`${id} has no summary`);
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    // The empty alternative stands for a service without a token file.
    security: OPEN_PATHS.has(operation.path) ? [] : [{ token: [] }, {}],
    ...(command === null ? {} : { 'x-command': command.name, 'x-role': command.role }),
    parameters: parametersOf(operation, names),
    ...(takesBody(operation) ? { requestBody: requestBodyOf(operation, names) } : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(replies).map(([status, reply]) => [status, replyObject(operation, { status, reply, names })]),
      ),
      ...errorResponses(operation),
    },
  };
}

function parametersOf(operation: Operation, schemas: SchemaNames): readonly Json[] {
  const names = [...operation.path.matchAll(/:(\w+)/g)].map((match) => match[1] ?? '');
  const example = operation.examples[0];
  const members = ((argumentsSchemaOf(operation) as Json | undefined)?.properties ?? {}) as Json;
  const inPath = names.map((name) => ({
    name,
    in: 'path',
    required: true,
    schema: schemas.referenced(members[name] ?? { type: 'string' }),
    ...(example?.params?.[name] === undefined ? {} : { example: example.params[name] }),
  }));
  const takesQuery = operation.input === 'query' || operation.input === 'body or query';
  const schema = (takesQuery ? (argumentsSchemaOf(operation) ?? operation.query) : undefined) as Json;
  const properties = Object.entries((schema?.properties ?? {}) as Json).filter(([name]) => !names.includes(name));
  const inQuery = properties.map(([name, property]) => ({
    name,
    in: 'query',
    schema: schemas.referenced(property),
    ...(example?.query?.[name] === undefined ? {} : { example: typed(example.query[name], property as Json) }),
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

/** The members of the body: the arguments of the command without the parameters of the path. */
function requestBodyOf(operation: Operation, schemas: SchemaNames): Json {
  const { input, path, examples, bodyType = JSON_TYPE } = operation;
  const withBody = examples.filter(({ body }) => body !== undefined);
  const named = Object.fromEntries(withBody.map(({ name, body }) => [name, { value: body }]));
  const schema = schemas.referenced(withoutMembers(argumentsSchemaOf(operation) ?? operation.body, path));
  return {
    required: input === 'body',
    content: { [bodyType]: { schema, ...(withBody.length === 0 ? {} : { examples: named }) } },
  };
}

/** The schema of the body, without the parameters of the path. */
function withoutMembers(schema: unknown, path: string): Json {
  const names = [...path.matchAll(/:(\w+)/g)].map((match) => match[1] ?? '');
  if (names.length === 0) return schema as Json;
  const { properties, required = [], ...rest } = schema as { properties: Json; required?: readonly string[] };
  const left = Object.entries(properties).filter(([name]) => !names.includes(name));
  const needed = required.filter((name) => !names.includes(name));
  return { ...rest, ...(needed.length === 0 ? {} : { required: needed }), properties: Object.fromEntries(left) };
}

type ReplyParts = { readonly status: string; readonly reply: Reply; readonly names: SchemaNames };

function replyObject({ examples }: Operation, { status, reply, names }: ReplyParts): Json {
  const headers = Object.fromEntries(
    Object.entries(reply.headers ?? {}).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' } },
    ]),
  );
  const fitting = examples.filter((example) => String(example.status) === status && example.answer !== undefined);
  const named = Object.fromEntries(fitting.map(({ name, answer }) => [name, { value: answer }]));
  const { items } = reply;
  const inside =
    items === undefined ? {} : { contentMediaType: 'application/json', contentSchema: names.referenced(items) };
  const media = {
    schema:
      items === undefined ? names.referenced(reply.schema) : { ...(names.referenced(reply.schema) as Json), ...inside },
    ...(fitting.length === 0 ? {} : { examples: named }),
  };
  return {
    description: reply.description,
    ...(reply.headers === undefined ? {} : { headers }),
    ...(reply.schema === null ? {} : { content: { [reply.type ?? JSON_TYPE]: media } }),
  };
}

function problemSchema(): Json {
  return {
    type: 'object',
    required: ['type', 'title', 'status', 'detail', 'code', 'errors', 'qmp-class'],
    properties: {
      type: { type: 'string', description: 'Path of the page that explains the error code.' },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string', description: 'A sentence for people with the given and the allowed values.' },
      code: {
        type: 'string',
        enum: [...ALL_ERROR_CODES].sort(),
        description: 'A stable error code. Clients can branch on it.',
      },
      errors: {
        type: 'array',
        description: 'All violations in the request.',
        items: {
          type: 'object',
          required: ['pointer', 'reason'],
          properties: {
            pointer: { type: 'string', description: 'JSON pointer (RFC 6901) to the wrong value.' },
            reason: { type: 'string' },
          },
        },
      },
      'qmp-class': { type: 'string', enum: ['GenericError', 'CommandNotFound'] },
    },
  };
}

/** The named schemas, and a name for every other JSON body, which is made from the operation id. */
function namesOf(operations: readonly Operation[]): SchemaNames {
  const names = new SchemaNames();
  for (const operation of operations) {
    const { id, path, replies } = operation;
    const name = `${id[0]?.toUpperCase()}${id.slice(1)}`;
    const body = takesBody(operation) ? withoutMembers(argumentsSchemaOf(operation) ?? operation.body, path) : null;
    if (isObjectSchema(body)) names.add(`${name}Body`, body);
    for (const [status, { schema, type = JSON_TYPE }] of Object.entries(replies)) {
      if (!status.startsWith('2') || type !== JSON_TYPE || !isObjectSchema(schema)) continue;
      const noun = name.replace(/^(?:Get|Query)(?=[A-Z])/, '');
      names.add(noun === name ? `${name}Result` : noun, schema);
    }
  }
  return names;
}

function isObjectSchema(schema: unknown): schema is Json {
  return (schema as Json | null)?.type === 'object';
}

function namedSchemas(paths: Json, names: SchemaNames): Json {
  const used = names.usedBy(paths);
  for (const name of PARAMETER_SETS) used[name] = withRanges(used[name] as Json, name === 'MigrationParameters');
  return { ...used, Problem: problemSchema() };
}

/** Query values in examples are text. The document shows them in the type of the schema. */
function typed(text: string, { type }: Json): unknown {
  return type === 'integer' ? Number(text) : text;
}
