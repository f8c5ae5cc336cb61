import type { Server } from '../server-type.ts';

/** What every answer carries, unless it says otherwise itself: nothing in it is a page that may load anything. */
export function registerSecurityHeaders(server: Server): void {
  server.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
    if (!reply.hasHeader('content-security-policy')) reply.header('content-security-policy', "default-src 'none'");
  });
}
