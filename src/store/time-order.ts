import { readTextCursor, writeTextCursor } from '../domain/cursor.ts';
import type { TimeRange } from '../domain/store-ports.ts';

/*
 * Lists filtered by time. They are in the order of time, then of number: the clock of the host may have been set back, so
 * that numbers do not tell times apart. A cursor is the time and the number of the last row, and holds while rows come.
 */

type Columns = { readonly time: string; readonly number: string };

/** True if the query has a bound of time. */
export function hasTimeRange({ startedAfter, startedBefore }: TimeRange): boolean {
  return startedAfter !== undefined || startedBefore !== undefined;
}

/** Condition of a page: later than `@after`, and before the place `@at`, `@before`. */
export function timeCondition({ time, number }: Columns): string {
  return `${time} > @after AND (${time}, ${number}) < (@at, @before)`;
}

/** Order of a page, newest first. */
export function timeOrder({ time, number }: Columns): string {
  return `${time} DESC, ${number} DESC`;
}

/** Name of a list with its bounds: a cursor of one range is none of another. */
export function timeListName(list: string, { startedAfter, startedBefore }: TimeRange): string {
  return `${list}/${startedAfter ?? ''}/${startedBefore ?? ''}`;
}

/** Values of the condition's parameters. @throws DomainError if the cursor did not come from `list`. */
export function timeBounds(
  list: string,
  { cursor, startedAfter, startedBefore }: TimeRange & { cursor: string | null },
) {
  const after = startedAfter ?? Number.MIN_SAFE_INTEGER;
  if (cursor === null) return { after, at: startedBefore ?? Number.MAX_SAFE_INTEGER, before: 0 };
  const [at = 0, before = 0] = readTextCursor(list, cursor).split('.').map(Number);
  return { after, at, before };
}

/** Cursor of a page that ends with a row of this time and number. */
export function writeTimeCursor(
  list: string,
  { at, number }: { readonly at: number; readonly number: number },
): string {
  return writeTextCursor(list, `${at}.${number}`);
}
