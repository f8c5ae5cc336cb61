import type { Server } from '../server-type.ts';
import { HttpError } from './http-errors.ts';

/*
 * Without tokens the listener is on loopback and asks for nothing, so a browser on the same machine is the way in: a page
 * of another site could send requests here, or make its own name resolve to 127.0.0.1. Both are told by headers that a
 * page cannot forge. With tokens the service has whatever names its host has, and a page that knows no token gets nowhere;
 * one of another site is refused all the same.
 */

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;
const OWN_SITE = new Set(['same-origin', 'none']);

/** Refuses what a foreign page caused a browser to send. */
export function registerOriginCheck(server: Server, { hasTokens }: { readonly hasTokens: boolean }): void {
  server.addHook('onRequest', async ({ headers, method }) => {
    const { host, origin } = headers;
    if (!hasTokens && host !== undefined && host !== '' && !LOOPBACK_HOST.test(host)) {
      throw new HttpError('foreign_origin', `This service answers as localhost only, not as "${host}".`);
    }
    const site = headers['sec-fetch-site'];
    // A link of another site may lead here, which reads; a form of another site may not send anything.
    const isLink = headers['sec-fetch-mode'] === 'navigate' && (method === 'GET' || method === 'HEAD');
    const foreignSite = typeof site === 'string' && !OWN_SITE.has(site) && !isLink;
    // https where something in front of us speaks TLS.
    const isOwn = origin === undefined || origin === `http://${host}` || (hasTokens && origin === `https://${host}`);
    if (foreignSite || !isOwn) {
      throw new HttpError('foreign_origin', `A page of ${origin ?? 'another site'} may not call this service.`);
    }
  });
}
