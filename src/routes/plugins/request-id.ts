import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Server } from '../server-type.ts';

/* Every request has an id, which its log lines, its row in the audit trail and its answer carry. */

/** What a client may choose: anything else would have to be escaped somewhere. */
const ID = /^[\w.:+/=-]{1,128}$/;

/** The client's `X-Request-Id`, if it is one, or a new one. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && ID.test(given) ? given : randomUUID();
}

/** Must be the first hook: whatever refuses a request later, its answer has the id. */
export function registerRequestId(server: Server): void {
  server.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
}
