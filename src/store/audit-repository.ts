import type { AuditOutcome, AuditRecord, AuditRepository } from '../domain/store-ports.ts';
import { counter } from './counter.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { hasTimeRange, timeBounds, timeCondition, timeListName, timeOrder, writeTimeCursor } from './time-order.ts';
import { type Connection, inTransaction } from './transaction.ts';

/** Rows removed at once, so that pruning never holds up a migration. */
const PRUNE_BATCH = 1000;
const LIST = 'audit';

type Row = {
  readonly id: number;
  readonly at: number;
  readonly door: string | null;
  readonly caller: string;
  readonly address: string | null;
  readonly request_id: string | null;
  readonly command: string;
  readonly arguments_json: string;
  readonly outcome: AuditOutcome;
  readonly error_code: string | null;
  readonly duration_ms: number | null;
};

const TIME = { time: 'at', number: 'id' };

/** Reads a page of a time range. */
export const AUDIT_TIME_SQL = `SELECT * FROM audit WHERE ${timeCondition(TIME)} ORDER BY ${timeOrder(TIME)} LIMIT @limit`;

/** The audit trail, pruned from its old end. */
export function auditRepository(connection: Connection): AuditRepository {
  const nextId = counter(connection, 'audit');
  const insert = connection.prepare<[object]>(
    `INSERT INTO audit (id, at, door, caller, address, request_id, command, arguments_json, outcome, error_code)
      VALUES (@id, @at, @door, @name, @address, @requestId, @command, @arguments, @outcome, @errorCode)`,
  );
  const end = connection.prepare<[string, string | null, number | null, number]>(
    'UPDATE audit SET outcome = ?, error_code = ?, duration_ms = ? WHERE id = ?',
  );
  const closeOpen = connection.prepare("UPDATE audit SET outcome = 'unknown' WHERE outcome = 'running'");
  const page = connection.prepare<[number, number], Row>('SELECT * FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?');
  const timePage = connection.prepare<[object], Row>(AUDIT_TIME_SQL);
  const refusals = new Kept(connection, "outcome = 'refused'");
  const others = new Kept(connection, "outcome <> 'refused'");
  return {
    add: (row) => {
      const id = inTransaction(connection, () => {
        const fresh = nextId();
        insert.run({ ...row, id: fresh });
        return fresh;
      });
      (row.outcome === 'refused' ? refusals : others).added();
      return id;
    },
    end: (id, { outcome, errorCode, durationMs }) => {
      end.run(outcome, errorCode, durationMs, id);
    },
    closeOpen: () => {
      closeOpen.run();
    },
    list: (query) => {
      const { limit, cursor } = query;
      const isByTime = hasTimeRange(query);
      const list = isByTime ? timeListName(LIST, query) : LIST;
      const rows = isByTime
        ? timePage.all({ ...timeBounds(list, query), limit: limit + 1 })
        : page.all(cursor === null ? Number.MAX_SAFE_INTEGER : readCursor(list, cursor), limit + 1);
      const items = rows.slice(0, limit);
      const last = rows.length > limit ? items.at(-1)! : null;
      return { items: items.map(fromRow), next: last === null ? null : cursorAt(list, last, isByTime) };
    },
    prune: ({ keep, keepRefusals }) => {
      refusals.prune(keepRefusals);
      others.prune(keep);
    },
  };
}

/** The rows of one set, counted once and then by what comes and goes, so that no row is looked at to know how many. */
class Kept {
  readonly #count: () => number;
  readonly #remove: (rows: number) => number;
  #rows: number | null = null;

  constructor(connection: Connection, condition: string) {
    const count = connection.prepare<[], { readonly rows: number }>(
      `SELECT COUNT(*) AS rows FROM audit WHERE ${condition}`,
    );
    const remove = connection.prepare<[number]>(
      `DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE ${condition} ORDER BY id LIMIT ?)`,
    );
    this.#count = () => count.get()?.rows ?? 0;
    this.#remove = (rows) => remove.run(rows).changes;
  }

  added(): void {
    if (this.#rows !== null) this.#rows += 1;
  }

  prune(keep: number): void {
    this.#rows ??= this.#count();
    if (this.#rows > keep) this.#rows -= this.#remove(Math.min(this.#rows - keep, PRUNE_BATCH));
  }
}

function cursorAt(list: string, { at, id }: Row, isByTime: boolean): string {
  return isByTime ? writeTimeCursor(list, { at, number: id }) : writeCursor(list, id);
}

function fromRow(row: Row): AuditRecord {
  return {
    id: row.id,
    at: row.at,
    door: row.door,
    name: row.caller,
    address: row.address,
    requestId: row.request_id,
    command: row.command,
    arguments: row.arguments_json,
    outcome: row.outcome,
    errorCode: row.error_code,
    durationMs: row.duration_ms,
  };
}
