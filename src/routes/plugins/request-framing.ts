import type { Socket } from 'node:net';
import { parseJson, stringifyJson } from '../../text/json.ts';
import { SECURITY_HEADERS, type Server } from './common-hooks.ts';
import { HttpError, type HttpErrorCode, PROBLEM_TYPE, problem } from './problem-details.ts';

/*
 * Rules of RFC 9112 for the head of a request that Node's parser does not check: one Host header, a path, and no expectation but
 * 100-continue. A proxy and this service could each use another one of two Host headers. Then the parsers of request bodies:
 * application/json in UTF-8, not compressed, parsed exactly; some routes accept text instead.
 */

/** Must come before the hooks that read the host. */
export function registerFraming(server: Server): void {
  server.addHook('onRequest', async ({ raw, headers }) => {
    const hosts = raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
    const isNeeded = raw.httpVersion === '1.1';
    if (hosts > 1 || (hosts === 0 && isNeeded)) {
      throw new HttpError('malformed_request', `A request must have one Host header; this one has ${hosts}.`, {
        headers: { connection: 'close' },
      });
    }
    if (raw.url === '*' && raw.method !== 'OPTIONS') {
      throw new HttpError('malformed_request', 'Only OPTIONS may have the path *.');
    }
    const { expect } = headers;
    if (expect === undefined || expect.toLowerCase() === '100-continue') return;
    throw new HttpError('expectation_failed', `The only supported expectation is 100-continue, not "${expect}".`, {
      headers: { connection: 'close' },
    });
  });
}

/** Refusals by the error code of Node's parser. Any other code is a malformed request. */
const CODE_OF_NODE: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: { code: 'headers_too_large', detail: 'The headers are larger than this service reads.' },
  ERR_HTTP_REQUEST_TIMEOUT: { code: 'request_timeout', detail: 'The request did not arrive in time.' },
};
const MALFORMED = { code: 'malformed_request', detail: 'The request cannot be understood.' } as const;

/** Answers bytes that are not an HTTP request, if the socket allows it, and closes the connection. */
export function answerClientError(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  answerAndClose(socket, CODE_OF_NODE[error.code ?? ''] ?? MALFORMED);
}

/** Refuses a CONNECT request. */
export function answerConnect(socket: Socket): void {
  const detail = 'This service is not a proxy: CONNECT is not allowed.';
  answerAndClose(
    socket.on('error', () => socket.destroy()),
    { code: 'method_not_allowed', detail },
  );
}

type Refusal = { readonly code: HttpErrorCode; readonly detail: string };

function answerAndClose(socket: Socket, { code, detail }: Refusal): void {
  const body = problem(code, detail);
  const text = `${stringifyJson(body)}\n`;
  const head = [
    `HTTP/1.1 ${body.status} ${body.title}`,
    'Connection: close',
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(text)}`,
    ...Object.entries(SECURITY_HEADERS).map(([name, value]) => `${name}: ${value}`),
  ];
  // Not `end`: the peer may never close its side, and its further bytes are not needed.
  socket.write(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
}

/** Replaces Fastify's parsers of bodies by an exact JSON parser. */
export function registerBodyParser(server: Server): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, parseBody(body as Buffer, request.headers['content-type']));
    } catch (error) {
      done(error as Error);
    }
  });
  server.addHook('onRequest', async (request) => {
    const encoding = request.headers['content-encoding'];
    if (encoding === undefined || encoding === 'identity') return;
    throw new HttpError(
      'unsupported_media_type',
      `Compressed bodies are not accepted, but content-encoding is "${encoding}".`,
    );
  });
}

/** Makes the routes of this server accept text/plain instead of JSON. */
export function takeText(server: Server): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('text/plain', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, textOf(body as Buffer, request.headers['content-type'], 'malformed_request'));
    } catch (error) {
      done(error as Error);
    }
  });
  server.addContentTypeParser('*', (request, _body, done) => {
    const given = request.headers['content-type'] ?? 'nothing';
    done(new HttpError('unsupported_media_type', `The body must be text/plain, but content-type is "${given}".`));
  });
}

function parseBody(body: Buffer, contentType: string | undefined): unknown {
  const text = textOf(body, contentType, 'malformed_json');
  return text === undefined ? undefined : parseJson(text);
}

/** @returns undefined for an empty body: each route decides whether it needs one. */
function textOf(body: Buffer, contentType: string | undefined, code: HttpErrorCode): string | undefined {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase();
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    throw new HttpError('unsupported_media_type', `A body must be in UTF-8, but its charset is ${charset}.`);
  }
  if (body.length === 0) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new HttpError(code, 'The body is not valid UTF-8.', { cause });
  }
}
