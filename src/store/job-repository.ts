import type { Statement } from 'better-sqlite3';
import { type ExactJson, readExactJson, writeExactJson } from '../domain/exact-json.ts';
import type { JobQuery, JobRecord, JobRepository, NewJob } from '../domain/ports/store.ts';
import { type Connection, counter, inTransaction } from './database-file.ts';
import { hasTimeRange, OrderedList, type PageBounds, timeCondition, timeOrder } from './row-order.ts';

export const JOB_COLUMNS = `jobs.sequence, id, jobs.type, status, resources_json, details_json, created_at, jobs.started_at,
  ended_at, duration_ms, current_progress, total_progress, jobs.outcome, error_code, error_description, warnings_json,
  result_json, phase, recovery_json`;

/** Number of jobs that the history keeps, the newest ones. With each new job a few older ones that have ended are removed. */
export const JOBS_KEPT = 1_000_000;
/** Jobs removed after each new one. More than one, so that a history that is too long becomes shorter. */
const REMOVED_AT_ONCE = 10;

type Row = {
  readonly sequence: number;
  readonly id: string;
  readonly type: string;
  readonly status: JobRecord['status'];
  readonly resources_json: string;
  readonly details_json: string;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly duration_ms: number | null;
  readonly current_progress: number;
  readonly total_progress: number;
  readonly outcome: JobRecord['outcome'];
  readonly error_code: string | null;
  readonly error_description: string | null;
  readonly warnings_json: string;
  readonly result_json: string | null;
  readonly phase: string | null;
  readonly recovery_json: string | null;
};

const SELECT = `SELECT ${JOB_COLUMNS} FROM jobs`;
const COLUMNS = [
  ...['sequence', 'id', 'type', 'status', 'resources_json', 'details_json', 'created_at', 'started_at', 'ended_at'],
  ...['duration_ms', 'current_progress', 'total_progress', 'outcome', 'error_code', 'error_description'],
  ...['warnings_json', 'result_json', 'phase', 'recovery_json', 'is_open'],
];
/** Columns that never change after the insert. */
const FIXED = new Set(['sequence', 'id', 'type', 'resources_json', 'details_json', 'created_at']);

/** All jobs, running and ended. A running job's row has the figures of its last save. Lists show the newest job first. */
export function jobRepository(connection: Connection): JobRepository {
  const insert = connection.prepare<[object]>(
    `INSERT INTO jobs (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map((name) => `@${name}`).join(', ')})`,
  );
  const changing = COLUMNS.filter((name) => !FIXED.has(name)).map((name) => `${name} = @${name}`);
  const update = connection.prepare<[object]>(`UPDATE jobs SET ${changing.join(', ')} WHERE sequence = @sequence`);
  const byId = connection.prepare<[string], Row>(`${SELECT} WHERE id = ? ORDER BY sequence DESC LIMIT 1`);
  const bySequence = connection.prepare<[number], Row>(`${SELECT} WHERE sequence = ?`);
  const open = connection.prepare<[], Row>(`${SELECT} WHERE is_open = 1 ORDER BY sequence`);
  const listings = new JobListings<Row>(connection);
  const fresh = freshJobs(connection, (id) => byId.get(id) !== undefined);
  const removeOld = jobPruner(connection);
  return {
    insert: (job) =>
      inTransaction(connection, () => {
        const record = fresh(job);
        insert.run(toRow(record));
        removeOld(record.sequence);
        return record;
      }),
    save: (record) =>
      inTransaction(connection, () => {
        if (update.run(toRow(record)).changes !== 1) throw new Error(`job ${record.id} has no row ${record.sequence}`);
        const { outcome } = record;
        if (outcome !== null) listings.add({ ...record, outcome });
      }),
    get: (id) => {
      const row = byId.get(id);
      return row === undefined ? null : fromRow(row);
    },
    bySequence: (sequence) => {
      const row = bySequence.get(sequence);
      return row === undefined ? null : fromRow(row);
    },
    list: (query) => {
      const list = new OrderedList(listName(query), query);
      const position = ({ sequence, started_at: at }: Row) => ({ number: sequence, at: at ?? 0 });
      return list.page(listings.page(query, list.bounds()), { item: fromRow, position });
    },
    open: () => open.all().map(fromRow),
  };
}

/** Makes the record of a new job. Call it in the transaction that inserts the row. */
function freshJobs(connection: Connection, isKnown: (id: string) => boolean): (job: NewJob) => JobRecord {
  const nextSequence = counter(connection, 'jobs');
  return (job) => {
    let sequence = nextSequence();
    // A client may have chosen an id of this form.
    while (job.id === null && isKnown(`job-${sequence}`)) sequence = nextSequence();
    return { ...NOT_STARTED, ...job, sequence, id: job.id ?? `job-${sequence}` };
  };
}

const NOT_STARTED = {
  status: 'created',
  startedAt: null,
  endedAt: null,
  durationMs: null,
  currentProgress: 0,
  totalProgress: 0,
  outcome: null,
  errorCode: null,
  errorDescription: null,
  warnings: [],
  result: null,
  phase: null,
  recovery: null,
} as const;

/** @returns a function that removes jobs beyond `JOBS_KEPT`, given the sequence of the newest job. */
function jobPruner(connection: Connection): (newest: number) => void {
  const remove = connection.prepare<[number, number]>(
    `DELETE FROM jobs WHERE sequence IN
      (SELECT sequence FROM jobs WHERE is_open = 0 AND sequence <= ? ORDER BY sequence LIMIT ?)`,
  );
  return (newest) => {
    if (newest > JOBS_KEPT) remove.run(newest - JOBS_KEPT, REMOVED_AT_ONCE);
  };
}

function listName(query: JobQuery): string {
  return `jobs/${query.resource ?? '*'}/${query.type ?? '*'}/${query.outcome ?? '*'}`;
}

function toRow(record: JobRecord): Row & { readonly is_open: number } {
  return {
    sequence: record.sequence,
    id: record.id,
    type: record.type,
    status: record.status,
    resources_json: JSON.stringify(record.resources),
    details_json: writeExactJson(record.details as ExactJson),
    created_at: record.createdAt,
    started_at: record.startedAt,
    ended_at: record.endedAt,
    duration_ms: record.durationMs,
    current_progress: record.currentProgress,
    total_progress: record.totalProgress,
    outcome: record.outcome,
    error_code: record.errorCode,
    error_description: record.errorDescription,
    warnings_json: JSON.stringify(record.warnings),
    result_json: jsonOrNull(record.result),
    phase: record.phase,
    recovery_json: jsonOrNull(record.recovery),
    is_open: record.outcome === null || record.phase !== null ? 1 : 0,
  };
}

function fromRow(row: Row): JobRecord {
  return {
    sequence: row.sequence,
    id: row.id,
    type: row.type,
    status: row.status,
    resources: JSON.parse(row.resources_json) as string[],
    details: readExactJson(row.details_json) as JobRecord['details'],
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    durationMs: row.duration_ms,
    currentProgress: row.current_progress,
    totalProgress: row.total_progress,
    outcome: row.outcome,
    errorCode: row.error_code,
    errorDescription: row.error_description,
    warnings: JSON.parse(row.warnings_json) as string[],
    result: valuesOrNull(row.result_json),
    phase: row.phase,
    recovery: valuesOrNull(row.recovery_json),
  };
}

function jsonOrNull(values: JobRecord['result']): string | null {
  return values === null ? null : writeExactJson(values as ExactJson);
}

function valuesOrNull(json: string | null): JobRecord['result'] {
  return json === null ? null : (readExactJson(json) as JobRecord['result']);
}

/** Every job is also listed under this resource. No resource has this name. */
const ALL = '*';

type Listed = {
  readonly sequence: number;
  readonly type: string;
  readonly outcome: string;
  readonly startedAt: number | null;
  readonly resources: readonly string[];
};
type Filter = Pick<JobQuery, 'type' | 'outcome' | 'resource' | 'startedAfter' | 'startedBefore'>;

/** Index of the ended jobs by resource, type and outcome. */
export class JobListings<Row> {
  readonly #connection: Connection;
  readonly #add: Statement<[number, string, string, string, number | null]>;
  readonly #pages = new Map<string, Statement<unknown[], Row>>();

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#add = connection.prepare(
      `INSERT INTO job_listings (job_sequence, resource, type, outcome, started_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT DO NOTHING`,
    );
  }

  /** Adds an ended job. Does nothing if the job is already listed. */
  add({ sequence, type, outcome, startedAt, resources }: Listed): void {
    for (const resource of [ALL, ...resources]) this.#add.run(sequence, resource, type, outcome, startedAt);
  }

  /** The jobs of a page, newest first. */
  page(filter: Filter, bounds: PageBounds): readonly Row[] {
    return this.#pageOf(filter).all({ ...filter, resource: filter.resource ?? ALL, ...bounds });
  }

  /** Each statement is prepared once. */
  #pageOf(filter: Filter): Statement<unknown[], Row> {
    const sql = jobPageSql(filter);
    const known = this.#pages.get(sql);
    if (known !== undefined) return known;
    const statement = this.#connection.prepare<unknown[], Row>(sql);
    this.#pages.set(sql, statement);
    return statement;
  }
}

const TIME = { time: 'listed.started_at', number: 'listed.job_sequence' };

/** Selects a page of jobs that used `@resource`, with `@type` and `@outcome` if the filter has them. */
export function jobPageSql(filter: Filter): string {
  const { type, outcome } = filter;
  const byType = type === undefined ? '' : ' AND listed.type = @type';
  const byOutcome = outcome === undefined ? '' : ' AND listed.outcome = @outcome';
  const [position, order] = hasTimeRange(filter)
    ? [timeCondition(TIME), timeOrder(TIME)]
    : ['listed.job_sequence < @before', 'listed.job_sequence DESC'];
  return `SELECT ${JOB_COLUMNS} FROM job_listings AS listed JOIN jobs ON jobs.sequence = listed.job_sequence
    WHERE listed.resource = @resource AND ${position}${byType}${byOutcome} ORDER BY ${order} LIMIT @limit`;
}
