import { readTextCursor, writeTextCursor } from '../domain/cursor.ts';

/** Text of a numbered position in `list`; `list` names the list and everything it was filtered by. */
export function writeCursor(list: string, position: number): string {
  return writeTextCursor(list, String(position));
}

/** @throws DomainError if the cursor did not come from `list`. */
export function readCursor(list: string, cursor: string): number {
  return Number(readTextCursor(list, cursor));
}
