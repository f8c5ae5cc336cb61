import type { Statement } from 'better-sqlite3';
import type { MigrationQuery, MigrationRecord, MigrationRepository } from '../domain/ports/store.ts';
import { type Connection, counter, inTransaction } from './database-file.ts';
import { samplePruner, timeLine, UNFINISHED } from './migration-time-line.ts';
import { hasTimeRange, OrderedList, timeCondition, timeOrder } from './row-order.ts';

type Row = {
  readonly sequence: number;
  readonly id: string;
  readonly direction: MigrationRecord['direction'];
  readonly uri: string;
  readonly status: MigrationRecord['status'];
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly error_code: string | null;
  readonly error_description: string | null;
  readonly guest: MigrationRecord['guest'];
  readonly settings_json: string;
  readonly result_json: string | null;
  readonly shared_id: string | null;
  readonly transferred_bytes: number | null;
  readonly total_time_ms: number | null;
  readonly downtime_ms: number | null;
};

type Filter = Pick<MigrationQuery, 'status' | 'direction' | 'startedAfter' | 'startedBefore'>;

/** Column of each member of a record that can change. */
const COLUMNS = {
  status: 'status',
  uri: 'uri',
  startedAt: 'started_at',
  endedAt: 'ended_at',
  errorCode: 'error_code',
  errorDescription: 'error_description',
  guest: 'guest',
  settingsJson: 'settings_json',
  resultJson: 'result_json',
  sharedId: 'shared_id',
  transferredBytes: 'transferred_bytes',
  totalTimeMs: 'total_time_ms',
  downtimeMs: 'downtime_ms',
} as const satisfies Record<Exclude<keyof MigrationRecord, 'id' | 'direction'>, string>;

const SELECT = `SELECT sequence, id, direction, uri, status, started_at, ended_at, error_code, error_description, guest,
  settings_json, result_json, shared_id, transferred_bytes, total_time_ms, downtime_ms FROM migrations`;

/** The history of migrations, newest first. */
export function migrationRepository(connection: Connection): MigrationRepository {
  const nextSequence = counter(connection, 'migrations');
  const insert = connection.prepare<[number, ...(string | number | null)[]]>(
    `INSERT INTO migrations (sequence, id, direction, uri, status, started_at, ended_at, error_code, error_description,
      guest, settings_json, result_json, shared_id, transferred_bytes, total_time_ms, downtime_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const byId = connection.prepare<[string], Row>(`${SELECT} WHERE id = ?`);
  const unfinished = connection.prepare<[], Row>(`${SELECT} WHERE status IN (${UNFINISHED}) ORDER BY sequence`);
  const updates = new Updates(connection);
  const pages = new Pages(connection);
  const pruneSamples = samplePruner(connection);
  return {
    insert: (record) => {
      inTransaction(connection, () => insert.run(nextSequence(), ...values(record)));
      pruneSamples();
    },
    transition: (id, from, change) => {
      const members = (Object.keys(COLUMNS) as (keyof typeof COLUMNS)[]).filter((name) => change[name] !== undefined);
      return updates.of(members).run(...members.map((name) => change[name]), id, from).changes === 1;
    },
    ...timeLine(connection),
    get: (id) => {
      const row = byId.get(id);
      return row === undefined ? null : fromRow(row);
    },
    list: (query) => {
      const list = new OrderedList(`migrations/${query.status ?? '*'}/${query.direction ?? '*'}`, query);
      const position = ({ sequence, started_at: at }: Row) => ({ number: sequence, at });
      return list.page(pages.of(query).all({ ...query, ...list.bounds() }), { item: fromRow, position });
    },
    unfinished: () => unfinished.all().map(fromRow),
  };
}

/** UPDATE statements by the columns that they set. Each is prepared once. */
class Updates {
  readonly #connection: Connection;
  readonly #prepared = new Map<string, Statement<unknown[]>>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  of(members: readonly (keyof typeof COLUMNS)[]): Statement<unknown[]> {
    const assignments = members.map((name) => `${COLUMNS[name]} = ?`).join(', ');
    const known = this.#prepared.get(assignments);
    if (known !== undefined) return known;
    const statement = this.#connection.prepare(`UPDATE migrations SET ${assignments} WHERE id = ? AND status = ?`);
    this.#prepared.set(assignments, statement);
    return statement;
  }
}

/** SELECT statements of pages, one for each combination of filters, so that an index serves each. Each is prepared once. */
class Pages {
  readonly #connection: Connection;
  readonly #prepared = new Map<string, Statement<unknown[], Row>>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  of(query: Filter): Statement<unknown[], Row> {
    const sql = pageSql(query);
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.#connection.prepare<unknown[], Row>(sql);
    this.#prepared.set(sql, statement);
    return statement;
  }
}

const TIME = { time: 'started_at', number: 'sequence' };

/** Selects a page, filtered by `@status`, `@direction` and a time range if the query has them. */
export function pageSql(query: Filter): string {
  const { status, direction } = query;
  const byStatus = status === undefined ? '' : ' AND status = @status';
  const byDirection = direction === undefined ? '' : ' AND direction = @direction';
  if (!hasTimeRange(query)) {
    return `${SELECT} WHERE sequence < @before${byStatus}${byDirection} ORDER BY sequence DESC LIMIT @limit`;
  }
  // The planner would also accept an index of one of the two columns, and read many rows that do not match the other.
  const index = byStatus !== '' && byDirection !== '' ? ' INDEXED BY migrations_by_both_and_start' : '';
  return `${SELECT}${index} WHERE ${timeCondition(TIME)}${byStatus}${byDirection}
    ORDER BY ${timeOrder(TIME)} LIMIT @limit`;
}

function values(record: MigrationRecord): (string | number | null)[] {
  return [
    record.id,
    record.direction,
    record.uri,
    record.status,
    record.startedAt,
    record.endedAt,
    record.errorCode,
    record.errorDescription,
    record.guest,
    record.settingsJson,
    record.resultJson,
    record.sharedId,
    record.transferredBytes,
    record.totalTimeMs,
    record.downtimeMs,
  ];
}

function fromRow(row: Row): MigrationRecord {
  return {
    id: row.id,
    direction: row.direction,
    uri: row.uri,
    status: row.status,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    errorCode: row.error_code,
    errorDescription: row.error_description,
    guest: row.guest,
    settingsJson: row.settings_json,
    resultJson: row.result_json,
    sharedId: row.shared_id,
    transferredBytes: row.transferred_bytes,
    totalTimeMs: row.total_time_ms,
    downtimeMs: row.downtime_ms,
  };
}
