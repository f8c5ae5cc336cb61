import type { AuditOutcome, AuditRecord, AuditRepository } from '../domain/ports/store.ts';
import { type Connection, counter, inTransaction } from './database-file.ts';
import { hasTimeRange, OrderedList, timeCondition, timeOrder } from './row-order.ts';

/** Rows that one transaction removes at most, so that no migration waits long for it. */
const PRUNE_BATCH = 1000;

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

/** Selects a page of a list with a time range. */
export const AUDIT_TIME_SQL = `SELECT * FROM audit WHERE ${timeCondition(TIME)} ORDER BY ${timeOrder(TIME)} LIMIT @limit`;

/** The audit trail. `prune` removes the oldest rows. */
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
      const list = new OrderedList('audit', query);
      const bounds = list.bounds();
      const rows = hasTimeRange(query) ? timePage.all(bounds) : page.all(bounds.before, bounds.limit);
      return list.page(rows, { item: fromRow, position: ({ id, at }) => ({ number: id, at }) });
    },
    prune: ({ keep, keepRefusals }) => {
      refusals.prune(keepRefusals);
      others.prune(keep);
    },
  };
}

/** Rows that fulfil a condition. They are counted once; later changes are added to that count, so that no statement counts again. */
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
