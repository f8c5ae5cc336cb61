// The error responses of the OpenAPI document: one shared response for each status, and the specific codes of each
// operation.

import {
  BODY_ERRORS,
  COMMON_ERRORS,
  type Operation,
  STORE_ERRORS,
  startsWork,
  writesToStore,
} from '../../src/routes/operation.ts';
import { type AnyErrorCode, describeCode, PROBLEM_TYPE, problem } from '../../src/routes/plugins/problem-details.ts';

type Json = Record<string, unknown>;

/** Error codes that follow from the form of an operation, such as a body or query parameters. */
const PATH_ERRORS: readonly AnyErrorCode[] = ['path_too_long'];
const RATE_ERRORS: readonly AnyErrorCode[] = ['too_many_requests'];
const SHARED_CODES = [...COMMON_ERRORS, ...STORE_ERRORS, ...RATE_ERRORS, ...PATH_ERRORS, ...BODY_ERRORS];

/** Names of the shared responses: the reason phrases of RFC 9110, RFC 6585 and RFC 4918. */
const NAMES: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  408: 'RequestTimeout',
  409: 'Conflict',
  412: 'PreconditionFailed',
  413: 'ContentTooLarge',
  414: 'UriTooLong',
  415: 'UnsupportedMediaType',
  416: 'RangeNotSatisfiable',
  417: 'ExpectationFailed',
  422: 'UnprocessableContent',
  429: 'TooManyRequests',
  431: 'RequestHeaderFieldsTooLarge',
  500: 'InternalServerError',
  501: 'NotImplemented',
  503: 'ServiceUnavailable',
  507: 'InsufficientStorage',
};

/** @returns for each status a reference to the shared response. Its description lists the specific codes of the operation */
export function errorResponses(operation: Operation): Json {
  const byStatus = Map.groupBy(codesOf(operation), (code) => describeCode(code).status);
  return Object.fromEntries(
    [...byStatus]
      // If the operation also answers with this status (503 of readiness), the description of that answer covers it.
      .filter(([status]) => operation.replies[status] === undefined)
      .map(([status, codes]) => [status, errorResponse(status, codes)]),
  );
}

/** @returns the shared responses that `paths` uses, by name */
export function sharedResponses(paths: Json): Json {
  const text = JSON.stringify(paths);
  const entries = Object.entries(NAMES).filter(([, name]) => text.includes(`"${referenceTo(name)}"`));
  return Object.fromEntries(entries.map(([status, name]) => [name, sharedResponse(Number(status))]));
}

function codesOf(operation: Operation): readonly AnyErrorCode[] {
  const codes = [
    ...COMMON_ERRORS,
    ...(writesToStore(operation) ? STORE_ERRORS : []),
    ...(startsWork(operation) ? RATE_ERRORS : []),
    ...(operation.path.includes(':') ? PATH_ERRORS : []),
    ...(operation.method === 'GET' ? [] : BODY_ERRORS),
    ...operation.errors,
  ];
  return [...new Set(codes)];
}

function errorResponse(status: number, codes: readonly AnyErrorCode[]): Json {
  const name = NAMES[status];
  if (name === undefined) throw new Error(`status ${status} has no shared response`);
  const own = codes.filter((code) => !SHARED_CODES.includes(code));
  const reference = { $ref: referenceTo(name) };
  return own.length === 0 ? reference : { ...reference, description: described(own) };
}

function sharedResponse(status: number): Json {
  const codes = SHARED_CODES.filter((code) => describeCode(code).status === status);
  const [code] = codes;
  return {
    description: code === undefined ? 'The member `code` names the reason.' : described(codes),
    content: {
      [PROBLEM_TYPE]: {
        schema: { $ref: '#/components/schemas/Problem' },
        ...(code === undefined
          ? {}
          : { examples: { [code]: { value: problem(code, `${describeCode(code).title}.`) } } }),
      },
    },
  };
}

function described(codes: readonly AnyErrorCode[]): string {
  return `${codes.map((code) => `\`${code}\`: ${describeCode(code).title}`).join('; ')}.`;
}

function referenceTo(name: string): string {
  return `#/components/responses/${name}`;
}
