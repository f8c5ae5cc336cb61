import { createHash } from 'node:crypto';

/** A strong tag: the same tag, the same bytes. */
export function strongTag(parts: readonly (string | number)[]): string {
  return `"${parts.join('.')}"`;
}

/** A weak tag: the same tag, the same thing, though perhaps not the same bytes. */
export function weakTag(parts: readonly (string | number)[]): string {
  return `W/${strongTag(parts)}`;
}

/** A short name for a content. */
export function digest(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 16);
}

/** True if `If-None-Match` names the tag (weak comparison: a leading W/ does not count). */
export function matchesAny(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return listTags(header).some((candidate) => opaque(candidate) === opaque(tag));
}

/** True if `If-Match` names the tag (strong comparison: weak tags never match). */
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
