import type { EventRecord, EventRepository } from '../domain/ports/store.ts';
import { type Connection, counter, inTransaction } from './database-file.ts';

/** Events that one transaction removes at most, so that no migration waits long for it. */
const PRUNE_BATCH = 1000;
/** Events that `since` returns at most. */
const PAGE_MAX = 1000;

type Row = { readonly id: number; readonly name: string; readonly data_json: string | null; readonly at: number };

/** The event log. Events have consecutive numbers and never change. `prune` removes the oldest. */
export function eventLog(connection: Connection): EventRepository {
  const nextId = counter(connection, 'events');
  const append = connection.prepare<[number, string, string | null, number]>(
    'INSERT INTO events (id, name, data_json, at) VALUES (?, ?, ?, ?)',
  );
  const since = connection.prepare<[number, number], Row>(
    'SELECT id, name, data_json, at FROM events WHERE id > ? ORDER BY id LIMIT ?',
  );
  const oldest = connection.prepare<[], { readonly id: number | null }>('SELECT MIN(id) AS id FROM events');
  const newest = connection.prepare<[], { readonly id: number | null }>('SELECT MAX(id) AS id FROM events');
  const removeUpTo = connection.prepare<[number]>('DELETE FROM events WHERE id <= ?');

  const bounds = (): { oldest: number; newest: number } => ({
    oldest: oldest.get()?.id ?? 0,
    newest: newest.get()?.id ?? 0,
  });
  return {
    append: (event) =>
      inTransaction(connection, () => {
        const id = nextId();
        append.run(id, event.name, event.data === null ? null : JSON.stringify(event.data), event.at);
        return { id, ...event };
      }),
    since: (after, limit) => since.all(after, Math.min(limit, PAGE_MAX)).map(fromRow),
    bounds,
    prune: (keep) => {
      const { oldest: first, newest: last } = bounds();
      for (let upTo = first - 1; upTo < last - keep; ) {
        upTo = Math.min(upTo + PRUNE_BATCH, last - keep);
        removeUpTo.run(upTo);
      }
    },
  };
}

function fromRow(row: Row): EventRecord {
  const data = row.data_json === null ? null : (JSON.parse(row.data_json) as Record<string, unknown>);
  return { id: row.id, name: row.name, data, at: row.at };
}
