import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { DoorError, type QmpClass, qmpClassOf } from '../../commands/command.ts';
import { DomainError, ERRORS, type ErrorCode, type ErrorKind, type Violation } from '../../domain/errors.ts';
import { JsonSyntaxError, stringifyJson } from '../../text/json.ts';
import { SECURITY_HEADERS, type Server } from './common-hooks.ts';

/* Errors as RFC 9457 problem details. This is the one place that maps an error code to an HTTP status. */

/** Errors of the HTTP interface itself. Like the domain's codes they are stable, and each has a page in docs/errors. */
export const HTTP_ERRORS = {
  malformed_request: { status: 400, title: 'The HTTP request is malformed' },
  malformed_json: { status: 400, title: 'The request body is not valid JSON' },
  idempotency_key_malformed: { status: 400, title: 'The Idempotency-Key is malformed' },
  body_missing: { status: 400, title: 'A request body is required' },
  not_authenticated: { status: 401, title: 'A valid token is required' },
  foreign_origin: { status: 403, title: 'Web pages of other sites may not call this service' },
  not_found: { status: 404, title: 'Nothing exists at this path' },
  method_not_allowed: { status: 405, title: 'The path does not support this method' },
  idempotency_key_in_use: { status: 409, title: 'A request with this Idempotency-Key is still in progress' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  body_too_large: { status: 413, title: 'The request body is too large' },
  path_too_long: { status: 414, title: 'The path is too long' },
  unsupported_media_type: { status: 415, title: 'The media type of the request body is not supported' },
  expectation_failed: { status: 417, title: 'The service does not support this expectation' },
  range_not_satisfiable: { status: 416, title: 'The range is outside the document' },
  too_many_wrong_tokens: { status: 429, title: 'This address has sent too many wrong tokens' },
  too_many_requests: { status: 429, title: 'Too many requests start work at once' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  internal_error: { status: 500, title: 'The service failed unexpectedly' },
  too_many_event_streams: { status: 503, title: 'Too many clients follow the events' },
} as const satisfies Record<string, { status: number; title: string }>;

export type HttpErrorCode = keyof typeof HTTP_ERRORS;

/** An error of the HTTP interface itself. `message` is a sentence for people. */
export class HttpError extends DoorError {
  readonly code: HttpErrorCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: HttpErrorCode,
    message: string,
    options: { headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'HttpError';
    this.code = code;
    this.headers = options.headers ?? {};
  }
}

export const PROBLEM_TYPE = 'application/problem+json';

const STATUS_OF_KIND: Readonly<Record<ErrorKind, number>> = {
  malformed: 400,
  forbidden: 403,
  missing: 404,
  conflict: 409,
  stale: 412,
  invalid: 422,
  internal: 500,
  unavailable: 501,
  closing: 503,
  busy: 503,
  full: 507,
};

export type AnyErrorCode = ErrorCode | HttpErrorCode;

export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: AnyErrorCode;
  readonly errors: readonly Violation[];
  readonly 'qmp-class': QmpClass;
};

/** Every error code that an HTTP answer can have. */
export const ALL_ERROR_CODES = [...Object.keys(HTTP_ERRORS), ...Object.keys(ERRORS)] as readonly AnyErrorCode[];

/** HTTP status and title of an error code. */
export function describeCode(code: AnyErrorCode): { readonly status: number; readonly title: string } {
  if (Object.hasOwn(HTTP_ERRORS, code)) return HTTP_ERRORS[code as HttpErrorCode];
  const { kind, title } = ERRORS[code as ErrorCode];
  return { status: STATUS_OF_KIND[kind], title };
}

/** The body of an answer that reports an error. */
export function problem(code: AnyErrorCode, detail: string, errors: readonly Violation[] = []): Problem {
  const { status, title } = describeCode(code);
  return { type: `/errors/${code}`, title, status, detail, code, errors, 'qmp-class': qmpClassOf(code) };
}

/** Answers every error of the server with problem details. */
export function registerProblemDetails(server: Server): void {
  server.setErrorHandler((error: unknown, request, reply) => sendProblem(error, request, reply));
}

/** Answers with the problem details of an error. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const body = toProblem(error);
  if (body.status >= 500 && body.code === 'internal_error') request.log.error({ err: error }, 'a request failed');
  // If the framework itself refused the path, no hook has run.
  reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
  if (error instanceof HttpError) reply.headers(error.headers);
  // The rest of a refused body is not read, so the connection cannot be used for another request.
  if (!request.raw.complete) reply.header('connection', 'close');
  if (body.status === 503) reply.header('retry-after', '1');
  reply.header('cache-control', 'no-store');
  return reply.code(body.status).type(PROBLEM_TYPE).serializer(problemText).send(body);
}

/** Ends with a line feed, so that a shell prompt after the output of curl begins on a new line. */
function problemText(body: unknown): string {
  return `${stringifyJson(body)}\n`;
}

/** The error code of the answer to an error. */
export function codeOf(error: unknown): AnyErrorCode {
  return toProblem(error).code;
}

function toProblem(error: unknown): Problem {
  if (error instanceof DomainError) return problem(error.code, error.message, error.violations);
  if (error instanceof HttpError) return problem(error.code, error.message);
  if (error instanceof JsonSyntaxError)
    return problem('malformed_json', `The body is not valid JSON: ${error.message}.`);
  const code = CODE_OF_FASTIFY[(error as Partial<FastifyError>).code ?? ''];
  if (code !== undefined) return problem(code, DETAIL_OF_FASTIFY[code] ?? describeCode(code).title);
  return problem('internal_error', 'The service failed to answer the request; its log has details.');
}

const CODE_OF_FASTIFY: Readonly<Record<string, HttpErrorCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'body_missing',
  FST_ERR_BAD_URL: 'malformed_request',
  FST_ERR_MAX_PARAM_LENGTH: 'path_too_long',
  ECONNRESET: 'malformed_request',
};

const DETAIL_OF_FASTIFY: Partial<Record<HttpErrorCode, string>> = {
  unsupported_media_type: 'A body must be application/json in UTF-8, not compressed.',
  body_too_large: 'The body is larger than this service reads.',
  malformed_request: 'The path or the length of the request cannot be understood.',
};
