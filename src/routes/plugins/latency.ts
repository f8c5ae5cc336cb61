import type { HttpFigures } from '../metrics/http-figures.ts';
import type { Server } from '../server-type.ts';

/** Streams last for as long as their reader likes. */
const STREAMS: ReadonlySet<string> = new Set(['/events']);

/** Counts how long answers take, and the requests that asked for their answer to be held back by themselves. */
export function registerLatency(server: Server, figures: HttpFigures): void {
  server.addHook('onResponse', async ({ method, routeOptions, headers }, reply) => {
    const route = routeOptions.url ?? 'none';
    if (STREAMS.has(route)) return;
    const labels = { method, route, status: String(reply.statusCode) };
    if (headers.prefer !== undefined) figures.waited(labels);
    else figures.answered(labels, reply.elapsedTime / 1000);
  });
}
