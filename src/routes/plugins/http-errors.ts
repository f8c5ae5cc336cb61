import { DoorError } from '../../commands/errors.ts';

/** What can be wrong with a request before it reaches a command. Like the domain's codes: stable, a page for each. */
export const HTTP_ERRORS = {
  malformed_request: { status: 400, title: 'This is not an HTTP request as it should be' },
  malformed_json: { status: 400, title: 'The body is not JSON as it should be' },
  idempotency_key_malformed: { status: 400, title: 'The Idempotency-Key is not one' },
  body_missing: { status: 400, title: 'A body is needed' },
  not_authenticated: { status: 401, title: 'A token is needed' },
  foreign_origin: { status: 403, title: 'Web pages of other sites may not call this service' },
  not_found: { status: 404, title: 'There is nothing here' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  idempotency_key_in_use: { status: 409, title: 'A request with this Idempotency-Key is being answered' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  body_too_large: { status: 413, title: 'The body is too large' },
  path_too_long: { status: 414, title: 'The path is too long' },
  unsupported_media_type: { status: 415, title: 'The body is in a form that is not accepted' },
  expectation_failed: { status: 417, title: 'The expectation cannot be met' },
  range_not_satisfiable: { status: 416, title: 'The range lies outside of the document' },
  too_many_wrong_tokens: { status: 429, title: 'Too many wrong tokens came from this address' },
  too_many_requests: { status: 429, title: 'Too much is begun at once' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  internal_error: { status: 500, title: 'The service failed' },
  too_many_event_streams: { status: 503, title: 'Too many clients follow the events' },
} as const satisfies Record<string, { status: number; title: string }>;

export type HttpErrorCode = keyof typeof HTTP_ERRORS;

/** An error of the HTTP door itself. `message` is a sentence for people. */
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
