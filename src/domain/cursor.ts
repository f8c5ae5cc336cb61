import { DomainError } from './errors.ts';

/*
 * Where a page ended, as an opaque text that only the list it came from understands: the position, what list it
 * belongs to, and a check sum over both. It is no secret, and it grants nothing; the sum is there so that a cursor
 * that was made up or belongs elsewhere is told from a real one.
 */

/** One page of a list; `next` is the cursor of the page behind it, null behind the last. */
export type Page<T> = { readonly items: readonly T[]; readonly next: string | null };

const CURSOR = /^([A-Za-z0-9_-]{1,200})$/;
const CONTENT = /^([\w.-]{1,64})~([0-9a-f]{8})$/;

/** Text of a position in `list`; `list` names the list and everything it was filtered by. A position is a short word. */
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
