// Random valid and invalid requests from the OpenAPI document, and the check of answers against the document.

import fc from 'fast-check';
import Schema from 'typebox/schema';
import { stringifyJson } from '../../src/text/json.ts';
import type { Reply } from './app.ts';

type Json = { readonly [name: string]: unknown };
type Media = { readonly schema: Json; readonly examples?: Readonly<Record<string, { readonly value: unknown }>> };
type Parameter = {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly schema: Json;
  readonly example?: unknown;
};
type Operation = {
  readonly operationId: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, Response | { readonly $ref: string }>>;
};
type Response = { readonly content?: Readonly<Record<string, Media>> };
export type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Json; readonly responses: Readonly<Record<string, Response>> };
};

export type FuzzRequest = {
  readonly operation: Operation;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined if there is none. */
  readonly body?: string;
};

const UINT64_MAX = 2n ** 64n - 1n;
const ANYTHING: fc.Arbitrary<unknown> = fc.jsonValue({ maxDepth: 3 });
const TEXTS = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('', '0', '../x', '%00', 'a'.repeat(5000), 'tcp:127.0.0.1:1', 'file:x', 'disk0', '"', '\u2028'),
);
const INTEGERS = fc.oneof(
  fc.integer({ min: -2, max: 300 }),
  fc.constantFrom<number | bigint>(-1, 0, 1, 2 ** 31, 2 ** 53, UINT64_MAX, UINT64_MAX + 1n, -(2n ** 63n) - 1n),
);

/** Requests to every operation but the event stream, which does not end. */
export function fuzzRequests(document: Document): fc.Arbitrary<FuzzRequest> {
  const requests = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, { operationId }]) => operationId !== 'followEvents')
      .map(([method, operation]) => requestsOf(document, { path, method, operation })),
  );
  return fc.oneof(...requests);
}

/** The deviation of an answer from the document; null if there is none. */
export function faultOf(
  { components }: Document,
  { operation }: Pick<FuzzRequest, 'operation'>,
  reply: Reply,
): string | null {
  if (reply.status === 500) return `a 500: ${reply.text}`;
  const response = operation.responses[reply.status];
  const described =
    response !== undefined && '$ref' in response
      ? components.responses[response.$ref.split('/').at(-1) ?? '']
      : response;
  if (described === undefined) return `status ${reply.status} is not described: ${reply.text}`;
  if (described.content === undefined) return reply.text === '' ? null : 'there is a body where none is described';
  const type = String(reply.headers['content-type']).split(';')[0] ?? '';
  const media = described.content[type];
  if (media === undefined) return `${type} is not described for ${reply.status}`;
  if (!type.endsWith('json')) return null;
  const [fits, errors] = Schema.Errors({ ...media.schema, components }, JSON.parse(reply.text));
  return fits ? null : `${reply.status} does not fit its schema: ${JSON.stringify(errors)}: ${reply.text}`;
}

type Place = { readonly path: string; readonly method: string; readonly operation: Operation };

function requestsOf(document: Document, { path, method, operation }: Place): fc.Arbitrary<FuzzRequest> {
  const { parameters, requestBody } = operation;
  const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? ['application/json', undefined];
  return fc
    .record({
      path: pathOf(path, parameters),
      query: queryOf(document, parameters),
      headers: headersOf(parameters),
      type: often(fc.constant(type), fc.constantFrom('text/plain', 'application/json; charset=latin1', 'x')),
      body: media === undefined ? often(fc.constant(undefined), fc.constant('{}')) : bodyOf(document, media, type),
    })
    .map(({ path: filled, query, headers, type: contentType, body }) => ({
      operation,
      method: method.toUpperCase(),
      url: query === '' ? filled : `${filled}?${query}`,
      headers: body === undefined ? headers : { ...headers, 'content-type': contentType },
      ...(body === undefined || method === 'get' ? {} : { body }),
    }));
}

/** Selects mostly the first value. */
function often<T, U>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<U>): fc.Arbitrary<T | U> {
  return fc.oneof({ weight: 9, arbitrary: usual as fc.Arbitrary<T | U> }, other as fc.Arbitrary<T | U>);
}

function pathOf(path: string, parameters: readonly Parameter[]): fc.Arbitrary<string> {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
  const values = names.map((name) => {
    const known = parameters.find((parameter) => parameter.name === name)?.example;
    return fc.oneof(
      fc.constant(String(known ?? '1')),
      fc.constantFrom('1', 'x'.repeat(300), '%', '%00', '..%2fx'),
      textInUrl(),
    );
  });
  return fc
    .tuple(...values)
    .map((found) => names.reduce((url, name, index) => url.replace(`{${name}}`, () => found[index] || '1'), path));
}

function textInUrl(): fc.Arbitrary<string> {
  return fc.string({ minLength: 1, maxLength: 12 }).map(encodeURIComponent);
}

function queryOf(document: Document, parameters: readonly Parameter[]): fc.Arbitrary<string> {
  const known = parameters.filter((parameter) => parameter.in === 'query');
  const pairs = known.map(({ name, schema, example }) =>
    fc
      .option(fc.oneof(fc.constant(example ?? '1'), valueFor(document, schema)), { nil: null })
      .map((value) => (value === null ? null : `${encodeURIComponent(name)}=${encodeURIComponent(textOf(value))}`)),
  );
  const all = fc.tuple(...pairs).map((found) => found.filter((pair) => pair !== null).join('&'));
  return often(all, fc.constantFrom('x=1', '&&', '=', '__proto__=1', 'limit=1&limit=2', '%'));
}

function textOf(value: unknown): string {
  const text = typeof value === 'string' ? value : stringifyJson(value);
  return text.isWellFormed() ? text : '';
}

/** Conditional headers and preferences, without a wait, which would only make the test slow. */
function headersOf(parameters: readonly Parameter[]): fc.Arbitrary<Record<string, string>> {
  const known = parameters.filter((parameter) => parameter.in === 'header').map(({ name }) => name.toLowerCase());
  const values = fc.constantFrom('"x"', 'W/"x"', '*', 'wait=0', 'wait=-1', 'wait', '', ' ', 'x'.repeat(300));
  return fc.dictionary(fc.constantFrom(...known, 'x-request-id'), values, { maxKeys: 2 });
}

function bodyOf(document: Document, { schema, examples = {} }: Media, type: string): fc.Arbitrary<string | undefined> {
  const shown = Object.values(examples).map(({ value }) => value);
  const write = (value: unknown): string => (type === 'text/plain' ? textOf(value) : stringifyJson(value));
  const fitting = valueFor(document, schema);
  const good = shown.length === 0 ? fitting : fc.oneof(fitting, fc.constantFrom(...shown));
  return fc.oneof(
    { weight: 8, arbitrary: good.map(write) },
    {
      weight: 4,
      arbitrary: fc.tuple(good, ANYTHING, fc.nat()).map(([value, other, at]) => write(damaged(value, other, at))),
    },
    { weight: 1, arbitrary: ANYTHING.map(write) },
    { weight: 1, arbitrary: fc.constantFrom(undefined, '', '{', '[', 'null', '"', '{"a":1,}', '\u0000') },
  );
}

/** The value with one member replaced, removed or added. */
function damaged(value: unknown, other: unknown, at: number): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return other;
  const names = [...Object.keys(value), 'unheard-of'];
  const name = names[at % names.length] ?? '';
  const { [name]: _gone, ...rest } = value as Json;
  return at % 3 === 0 ? rest : { ...rest, [name]: other };
}

function valueFor(document: Document, schema: Json): fc.Arbitrary<unknown> {
  if (typeof schema.$ref === 'string') {
    return valueFor(document, document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] as Json);
  }
  if (Array.isArray(schema.anyOf)) return fc.oneof(...(schema.anyOf as Json[]).map((part) => valueFor(document, part)));
  if (Array.isArray(schema.enum)) return fc.constantFrom(...(schema.enum as unknown[]));
  if ('const' in schema) return fc.constant(schema.const);
  switch (schema.type) {
    case 'integer':
      return INTEGERS;
    case 'number':
      return fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), INTEGERS);
    case 'string':
      return TEXTS;
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(valueFor(document, (schema.items ?? {}) as Json), { maxLength: 4 });
    case 'object':
      return objectOf(document, schema);
    default:
      return ANYTHING;
  }
}

function objectOf(document: Document, { properties = {}, required = [] }: Json): fc.Arbitrary<unknown> {
  const members = Object.entries(properties as Json).map(([name, schema]) => [
    name,
    valueFor(document, schema as Json),
  ]);
  return fc.record(Object.fromEntries(members) as Record<string, fc.Arbitrary<unknown>>, {
    requiredKeys: required as string[],
  });
}
