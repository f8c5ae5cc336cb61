import { parseJson } from '../../commands/json/parse.ts';
import type { Server } from '../server-type.ts';
import { HttpError } from './http-errors.ts';

/* Request bodies: application/json in UTF-8, not compressed, read exactly; nothing else. */

/** Replaces Fastify's parsers by an exact one. */
export function registerBodyParser(server: Server): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, parseBody(body as Buffer, request.headers['content-type']));
    } catch (error) {
      done(error as Error);
    }
  });
  server.addHook('onRequest', async (request) => {
    const encoding = request.headers['content-encoding'];
    if (encoding === undefined || encoding === 'identity') return;
    throw new HttpError(
      'unsupported_media_type',
      `Compressed bodies are not accepted, but content-encoding is "${encoding}".`,
    );
  });
}

/** @returns undefined for an empty body: whether one is needed is the route's to say. */
function parseBody(body: Buffer, contentType: string | undefined): unknown {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase();
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    throw new HttpError('unsupported_media_type', `JSON is read in UTF-8 only, not in ${charset}.`);
  }
  if (body.length === 0) return undefined;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new HttpError('malformed_json', 'The body is not valid UTF-8.', { cause });
  }
  return parseJson(text);
}
