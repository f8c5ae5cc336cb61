import { readTextCursor, writeTextCursor } from '../domain/cursor.ts';
import type { TimeRange } from '../domain/ports/store.ts';

/*
 * Order, cursors and pages of lists. Rows have numbers, which grow by one with each row, and lists show the newest row first. A
 * list with a time range is sorted by time, then by number: the host's clock may have been set back, so the order of the
 * numbers is not always the order of the times. The cursor of such a list holds both. A cursor stays valid while rows are added.
 */

/** Names of the columns that a list with a time range is sorted by. */
type TimeColumns = { readonly time: string; readonly number: string };

/** Position of a row in a list. `at`: milliseconds since 1970, needed only in a list with a time range. */
export type RowPosition = { readonly number: number; readonly at: number };

type ListQuery = TimeRange & { readonly limit: number; readonly cursor: string | null };

/** True if the query has a bound of time. */
export function hasTimeRange({ startedAfter, startedBefore }: TimeRange): boolean {
  return startedAfter !== undefined || startedBefore !== undefined;
}

/** SQL condition for the rows of a page: later than `@after`, and behind the position `@at`, `@before`. */
export function timeCondition({ time, number }: TimeColumns): string {
  return `${time} > @after AND (${time}, ${number}) < (@at, @before)`;
}

/** SQL order of a list with a time range, newest first. */
export function timeOrder({ time, number }: TimeColumns): string {
  return `${time} DESC, ${number} DESC`;
}

/** Parameters of a list's SQL statement that select a page. `limit` is one more than the page has room for. */
export type PageBounds = {
  readonly before: number;
  readonly after?: number;
  readonly at?: number;
  readonly limit: number;
};

/** A list, with the filters of one query: its cursors are refused by a query with other filters. */
export class OrderedList {
  readonly #name: string;
  readonly #query: ListQuery;
  readonly #isByTime: boolean;

  /** @param name name of the list, and every filter but the time range */
  constructor(name: string, query: ListQuery) {
    this.#isByTime = hasTimeRange(query);
    this.#name = this.#isByTime ? `${name}/${query.startedAfter ?? ''}/${query.startedBefore ?? ''}` : name;
    this.#query = query;
  }

  /** @throws DomainError if the cursor is not one of this list. */
  bounds(): PageBounds {
    const { cursor, startedAfter, startedBefore } = this.#query;
    const limit = this.#query.limit + 1;
    if (!this.#isByTime) {
      return { limit, before: cursor === null ? Number.MAX_SAFE_INTEGER : readCursor(this.#name, cursor) };
    }
    const after = startedAfter ?? Number.MIN_SAFE_INTEGER;
    if (cursor === null) return { limit, after, at: startedBefore ?? Number.MAX_SAFE_INTEGER, before: 0 };
    const [at = 0, before = 0] = readTextCursor(this.#name, cursor).split('.').map(Number);
    return { limit, after, at, before };
  }

  /** The page of the rows that were selected with `bounds()`. */
  page<Row, Item>(
    rows: readonly Row[],
    { item, position }: { readonly item: (row: Row) => Item; readonly position: (row: Row) => RowPosition },
  ): { readonly items: readonly Item[]; readonly next: string | null } {
    const { limit } = this.#query;
    const shown = rows.slice(0, limit);
    const last = rows.length > limit ? shown.at(-1) : undefined;
    return { items: shown.map(item), next: last === undefined ? null : this.#cursorAt(position(last)) };
  }

  #cursorAt({ number, at }: RowPosition): string {
    return this.#isByTime ? writeTextCursor(this.#name, `${at}.${number}`) : writeCursor(this.#name, number);
  }
}

/** Cursor at the row with this number. */
export function writeCursor(list: string, number: number): string {
  return writeTextCursor(list, String(number));
}

/** @throws DomainError if the cursor is not one of `list`. */
export function readCursor(list: string, cursor: string): number {
  return Number(readTextCursor(list, cursor));
}
