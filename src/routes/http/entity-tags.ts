import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { HttpError } from '../plugins/problem-details.ts';

/** A strong tag: two answers with the same strong tag have the same bytes. */
export function strongTag(parts: readonly (string | number)[]): string {
  return `"${parts.join('.')}"`;
}

/** A weak tag: two answers with the same weak tag are equivalent, but their bytes can differ. */
export function weakTag(parts: readonly (string | number)[]): string {
  return `W/${strongTag(parts)}`;
}

/** A short digest of a text or bytes. */
export function digest(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 16);
}

/** True if `If-None-Match` contains the tag. Weak comparison: a leading W/ is ignored. */
export function matchesAny(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return listTags(header).some((candidate) => opaque(candidate) === opaque(tag));
}

/** True if `If-Match` contains the tag. Strong comparison: weak tags never match. */
export function matchesStrongly(header: string, tag: string): boolean {
  if (header.trim() === '*') return true;
  return !tag.startsWith('W/') && listTags(header).includes(tag);
}

function listTags(header: string): string[] {
  return header.match(/(?:W\/)?"[^"]*"/g) ?? [];
}

function opaque(tag: string): string {
  return tag.replace(/^W\//, '');
}

/*
 * Documents that do not change while the process runs. Each document is in memory once and every answer refers to the same
 * bytes, so slow readers cost no copies. No answer reads a file: file reads use libuv's thread pool, which the guest's disk
 * also needs.
 */

export type Document = {
  readonly body: Buffer;
  /** Media type with charset. */
  readonly type: string;
  /** Strong entity tag. */
  readonly tag: string;
};

export function documentOf(body: Buffer, type: string): Document {
  return { body, type, tag: strongTag([digest(body)]) };
}

/** Response headers of `sendDocument`, for the documentation. */
export const DOCUMENT_HEADERS = { ETag: 'The entity tag of the content.', 'Accept-Ranges': 'Always bytes.' };

/**
 * Sends a document: 200, 304 if `If-None-Match` contains its tag, or 206 for one range of bytes. An invalid Range, or one with
 * several ranges, is ignored, as RFC 9110 allows.
 * @throws HttpError 416 if no byte of the range exists
 */
export function sendDocument(request: FastifyRequest, reply: FastifyReply, document: Document): FastifyReply {
  const { body, type, tag } = document;
  const { 'if-none-match': seen, 'if-range': condition, range: ranges } = request.headers;
  reply.header('etag', tag).header('cache-control', 'no-cache').header('accept-ranges', 'bytes');
  if (matchesAny(seen, tag)) return reply.code(304).send();
  reply.type(type);
  const range = ranges === undefined || (condition !== undefined && condition !== tag) ? null : rangeOf(ranges, body);
  if (range === null || request.method !== 'GET') return reply.send(body);
  const { first, last } = range;
  reply.code(206).header('content-range', `bytes ${first}-${last}/${body.length}`);
  return reply.send(body.subarray(first, last + 1));
}

const ONE_RANGE = /^bytes=\s*(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))\s*$/i;

/** Positions of the first and the last byte of the range; null if the header is ignored. */
function rangeOf(header: string, { length }: Buffer): { readonly first: number; readonly last: number } | null {
  const match = ONE_RANGE.exec(header);
  if (match === null) return null;
  const [, from, to, suffix] = match;
  const first = from === undefined ? Math.max(0, length - Number(suffix)) : Number(from);
  const last = to === undefined || to === '' ? length - 1 : Math.min(Number(to), length - 1);
  // A last position before the first one makes the header invalid. It is then ignored, not answered with 416.
  if (to !== undefined && to !== '' && Number(to) < first) return null;
  if (first < length && suffix !== '0' && length > 0) return { first, last };
  throw new HttpError('range_not_satisfiable', `The document has ${length} bytes; none of them is in "${header}".`, {
    headers: { 'content-range': `bytes */${length}` },
  });
}
