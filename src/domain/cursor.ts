import { DomainError } from './errors.ts';

/*
 * The end of a page, as an opaque text for its own list: the position, and a check sum of position and list. It is no
 * secret and grants nothing. The sum detects cursors that were invented or belong to another list.
 */

/** One page of a list; `next` is the cursor of the next page, null after the last one. */
export type Page<T> = { readonly items: readonly T[]; readonly next: string | null };

const CURSOR = /^([A-Za-z0-9_-]{1,200})$/;
const CONTENT = /^([\w.-]{1,64})~([0-9a-f]{8})$/;

/** Text of a position in `list`; `list` names the list and all its filters. A position is a short text. */
export function writeTextCursor(list: string, position: string): string {
  return Buffer.from(`${position}~${fnv32(`${list}\0${position}`)}`).toString('base64url');
}

/** @throws DomainError if the cursor did not come from `list`. */
export function readTextCursor(list: string, cursor: string): string {
  const text = CURSOR.test(cursor) ? Buffer.from(cursor, 'base64url').toString('latin1') : '';
  const [, position, sum] = CONTENT.exec(text) ?? [];
  if (position === undefined || sum !== fnv32(`${list}\0${position}`)) {
    const reason = 'cursor has to be one that an earlier page of the same list gave.';
    throw new DomainError('invalid_cursor', reason, { violations: [{ pointer: '/cursor', reason }] });
  }
  return position;
}

/** FNV-1a, 32 bits, as eight hexadecimal digits. */
export function fnv32(text: string): string {
  let sum = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193);
  return (sum >>> 0).toString(16).padStart(8, '0');
}
