import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Server } from './common-hooks.ts';
import { HttpError } from './problem-details.ts';

/* Answers to requests without a route: OPTIONS and a wrong method list the allowed methods; everything else is 404. */

type KnownPath = { readonly pattern: RegExp; readonly methods: Set<string> };

/** Must be registered before the routes, because it collects their paths. */
export function registerMethods(server: Server): void {
  const paths = new Map<string, KnownPath>();
  server.addHook('onRoute', ({ url, method }) => {
    const known = paths.get(url) ?? { pattern: patternOf(url), methods: new Set(['OPTIONS']) };
    for (const name of [method].flat()) known.methods.add(name);
    paths.set(url, known);
  });
  server.setNotFoundHandler((request, reply) => answerUnrouted(request, reply, [...paths.values()]));
}

function answerUnrouted(request: FastifyRequest, reply: FastifyReply, paths: readonly KnownPath[]): FastifyReply {
  const path = request.url.split('?', 1)[0] ?? '';
  const known = paths.filter(({ pattern }) => pattern.test(path));
  const methods = [...new Set(known.flatMap((entry) => [...entry.methods]))].sort();
  // The path matches a route with this method, but the router refused it, for example because of its characters.
  const isOurs = methods.length > 0 && (request.method === 'OPTIONS' || !methods.includes(request.method));
  if (!isOurs) throw new HttpError('not_found', `There is nothing at ${shorten(path)}.`);
  const allow = methods.join(', ');
  if (request.method === 'OPTIONS') return reply.code(204).header('allow', allow).send();
  throw new HttpError('method_not_allowed', `${request.method} is not allowed at ${shorten(path)}; ${allow} are.`, {
    headers: { allow },
  });
}

const SHOWN_LENGTH_MAX = 100;

function shorten(path: string): string {
  return path.length > SHOWN_LENGTH_MAX ? `${path.slice(0, SHOWN_LENGTH_MAX)}…` : path;
}

function patternOf(url: string): RegExp {
  const parts = url.split('/').map((part) => {
    if (part.startsWith(':')) return '[^/]+';
    if (part === '*') return '.*';
    return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('/')}$`);
}
