import { DomainError } from '../errors.ts';

/*
 * What a new snapshot may be called. Tags that are there already, perhaps given by another program, are taken as they
 * are: they can be loaded, verified and deleted whatever they look like.
 *
 * A tag names exactly the snapshots whose tag has the same bytes: no case is folded, no Unicode normalised, so `Nightly`
 * and `nightly`, or an é in one and in two code points, are different snapshots. An id is never looked up.
 */

/** QEMU keeps that many and cuts off the rest in silence, so that two long names become one. */
export const TAG_BYTES_MAX = 255;

const CONTROL = /\p{Cc}/u;
const DIGITS = /^\d+$/;

/** @throws DomainError if no snapshot may be given this tag. */
export function checkTag(tag: string): void {
  const reason = faultOf(tag);
  if (reason === null) return;
  throw new DomainError('invalid_tag', `The tag ${shown(tag)} ${reason}.`, {
    violations: [{ pointer: '/tag', reason: `tag ${reason}` }],
  });
}

/** The tag in quotes, cut if it is long. */
export function shown(tag: string): string {
  const text = JSON.stringify(tag);
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…"` : text;
}

const SHOWN_LENGTH_MAX = 80;

function faultOf(tag: string): string | null {
  if (tag === '') return 'is empty; it needs a character at least';
  if (!tag.isWellFormed()) return 'is not Unicode text: half of a surrogate pair is missing';
  const bytes = utf8Bytes(tag);
  if (bytes > TAG_BYTES_MAX) return `has ${bytes} bytes in UTF-8; ${TAG_BYTES_MAX} are allowed`;
  if (CONTROL.test(tag)) return 'has a control character';
  // QEMU reverts disks by looking a name up as an id first: `loadvm 1` would take the disks of another snapshot.
  if (DIGITS.test(tag)) return 'has digits only, and would be taken for the id of another snapshot by QEMU';
  if (tag === '.' || tag === '..') return 'cannot be a part of a URL path';
  return null;
}

function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Names in quotes: `'a', 'b'`. */
export function list(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ');
}

/** Control characters, and the line breaks of Unicode: what is kept is shown in tables, logs and terminals, on one line. */
const UNSUITABLE = /[\p{Cc}\p{Zl}\p{Zp}]/u;

/** @throws DomainError if a snapshot cannot have this description. Its length is the schema's to bound. */
export function checkDescription(description: string): void {
  const reason = descriptionFault(description);
  if (reason === null) return;
  const violations = [{ pointer: '/description', reason: `description ${reason}` }];
  throw new DomainError('value_out_of_range', `The description ${reason}.`, { violations });
}

function descriptionFault(description: string): string | null {
  if (!description.isWellFormed()) return 'is not Unicode text: half of a surrogate pair is missing';
  const found = UNSUITABLE.exec(description)?.[0].codePointAt(0);
  if (found === undefined) return null;
  return `has a control character or line break, U+${found.toString(16).toUpperCase().padStart(4, '0')}; it is one line`;
}
