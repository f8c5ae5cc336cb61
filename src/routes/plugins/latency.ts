import type { HttpFigures } from '../metrics/http-figures.ts';
import type { Server } from '../server-type.ts';

/** Streams last for as long as their reader likes. */
const STREAMS: ReadonlySet<string> = new Set(['/events']);

/** Counts how long answers take; one that the client asked to be held back says nothing about that. */
export function registerLatency(server: Server, figures: HttpFigures): void {
  server.addHook('onResponse', async ({ method, routeOptions, headers }, reply) => {
    const route = routeOptions.url ?? 'none';
    if (STREAMS.has(route) || headers.prefer !== undefined) return;
    figures.answered({ method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
  });
}
