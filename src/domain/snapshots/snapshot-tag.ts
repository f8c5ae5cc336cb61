import { DomainError } from '../errors.ts';

/*
 * Rules for new tags. Existing tags are not checked: such snapshots can be loaded, verified and deleted.
 *
 * Two tags are equal if they have the same bytes. Case and Unicode forms are not changed: `Nightly` and `nightly` are
 * different snapshots, and so are tags with é as one and as two code points. A tag is never compared with an id.
 */

/** Longest tag in bytes. QEMU cuts longer ones silently, so two could become equal. */
export const TAG_BYTES_MAX = 255;

const CONTROL = /\p{Cc}/u;
const DIGITS = /^\d+$/;

/** @throws DomainError if a new snapshot may not have this tag. */
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
  // QEMU searches a name first as an id when it reverts disks: `loadvm 1` would use the disks of another snapshot.
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

/** Control characters and line breaks: descriptions are shown on one line. */
const UNSUITABLE = /[\p{Cc}\p{Zl}\p{Zp}]/u;

/** @throws DomainError if the description is invalid. The schema limits its length. */
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
