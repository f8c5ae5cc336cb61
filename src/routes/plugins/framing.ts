import type { Server } from '../server-type.ts';
import { HttpError } from './http-errors.ts';

/*
 * What RFC 9112 asks of the head of a request beside what the parser checks: one Host, a path, and no expectation but
 * 100-continue. Two Hosts would be one for whatever is in front of this service and another for the service itself.
 */

/** Must come before what looks at the host. */
export function registerFraming(server: Server): void {
  server.addHook('onRequest', async ({ raw, headers }) => {
    const hosts = raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
    const isNeeded = raw.httpVersion === '1.1';
    if (hosts > 1 || (hosts === 0 && isNeeded)) {
      throw new HttpError('malformed_request', `A request has one Host header; this one has ${hosts}.`, {
        headers: { connection: 'close' },
      });
    }
    if (raw.url === '*' && raw.method !== 'OPTIONS') {
      throw new HttpError('malformed_request', 'The path * is for OPTIONS only.');
    }
    const { expect } = headers;
    if (expect === undefined || expect.toLowerCase() === '100-continue') return;
    throw new HttpError('expectation_failed', `Only 100-continue may be expected, not "${expect}".`, {
      headers: { connection: 'close' },
    });
  });
}
