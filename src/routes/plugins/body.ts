import { parseJson } from '../../text/json.ts';
import type { Server } from '../server-type.ts';
import { HttpError, type HttpErrorCode } from './problem-details.ts';

/* Request bodies: application/json in UTF-8, not compressed, read exactly; where a route says so, text instead. */

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

/** Lets the routes of this server, and no others, take text/plain instead. */
export function takeText(server: Server): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('text/plain', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, textOf(body as Buffer, request.headers['content-type'], 'malformed_request'));
    } catch (error) {
      done(error as Error);
    }
  });
  server.addContentTypeParser('*', (request, _body, done) => {
    const given = request.headers['content-type'] ?? 'nothing';
    done(new HttpError('unsupported_media_type', `The body must be text/plain, but content-type is "${given}".`));
  });
}

function parseBody(body: Buffer, contentType: string | undefined): unknown {
  const text = textOf(body, contentType, 'malformed_json');
  return text === undefined ? undefined : parseJson(text);
}

/** @returns undefined for an empty body: whether one is needed is the route's to say. */
function textOf(body: Buffer, contentType: string | undefined, code: HttpErrorCode): string | undefined {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase();
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    throw new HttpError('unsupported_media_type', `A body is read in UTF-8 only, not in ${charset}.`);
  }
  if (body.length === 0) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new HttpError(code, 'The body is not valid UTF-8.', { cause });
  }
}
