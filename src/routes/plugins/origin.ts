import type { Server } from '../server-type.ts';
import { HttpError } from './http-errors.ts';

/*
 * The listener is on loopback and asks for no password, so a browser on the same machine is the way in: a page of
 * another site could send requests here, or make its own name resolve to 127.0.0.1. Both are told by headers that a
 * page cannot forge.
 */

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;
const OWN_SITE = new Set(['same-origin', 'none']);

/** Refuses what a foreign page caused a browser to send. */
export function registerOriginCheck(server: Server): void {
  server.addHook('onRequest', async ({ headers }) => {
    const { host, origin } = headers;
    if (host !== undefined && host !== '' && !LOOPBACK_HOST.test(host)) {
      throw new HttpError('foreign_origin', `This service answers as localhost only, not as "${host}".`);
    }
    const site = headers['sec-fetch-site'];
    const foreignSite = typeof site === 'string' && !OWN_SITE.has(site) && headers['sec-fetch-mode'] !== 'navigate';
    if (foreignSite || (origin !== undefined && origin !== `http://${host}`)) {
      throw new HttpError('foreign_origin', `A page of ${origin ?? 'another site'} may not call this service.`);
    }
  });
}
