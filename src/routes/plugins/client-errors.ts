import type { Socket } from 'node:net';
import { stringifyJson } from '../../text/json.ts';
import type { HttpErrorCode } from './http-errors.ts';
import { PROBLEM_TYPE, problem } from './problem-details.ts';
import { SECURITY_HEADERS } from './security-headers.ts';

/** What Node's parser refused, by its code; anything else is a malformed request. */
const CODE_OF_NODE: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: { code: 'headers_too_large', detail: 'The headers are larger than this service reads.' },
  ERR_HTTP_REQUEST_TIMEOUT: { code: 'request_timeout', detail: 'The request did not arrive in time.' },
};
const MALFORMED = { code: 'malformed_request', detail: 'The request cannot be understood.' } as const;

/** Answers, as far as that is possible, what is no HTTP request, and closes the connection. */
export function answerClientError(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  answerAndClose(socket, CODE_OF_NODE[error.code ?? ''] ?? MALFORMED);
}

/** Answers a request for a tunnel. */
export function answerConnect(socket: Socket): void {
  const detail = 'This service is no proxy: CONNECT is not allowed.';
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
  // Not `end`: the peer may never close its side, and what it still sends is of no interest.
  socket.write(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
}
