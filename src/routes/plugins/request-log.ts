import type { FastifyRequest } from 'fastify';
import type { Server } from '../server-type.ts';

const LOOKING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * One line for each request: at level info if it was to change something or was refused, at level debug otherwise. The
 * path is there as the route has it, and nothing of headers, query and body: no secret can be among what is logged.
 */
export function registerRequestLog(server: Server): void {
  server.addHook('onResponse', async (request, reply) => {
    const { method, log } = request;
    const isNews = !LOOKING.has(method) || reply.statusCode >= 400;
    const line = { ...shownOf(request), status: reply.statusCode, ms: Math.round(reply.elapsedTime * 10) / 10 };
    log[isNews ? 'info' : 'debug'](line, 'a request was answered');
  });
}

function shownOf({ method, routeOptions, access, ip }: FastifyRequest): Record<string, unknown> {
  return { method, route: routeOptions.url ?? null, caller: access?.caller.name ?? null, address: ip };
}
