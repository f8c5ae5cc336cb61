import type { Statement } from 'better-sqlite3';
import type { JobQuery } from '../domain/ports/store.ts';
import { hasTimeRange, type PageBounds, timeCondition, timeOrder } from './row-order.ts';
import type { Connection } from './transaction.ts';

/** Every job is also listed under this resource. No resource has this name. */
const ALL = '*';

export const JOB_COLUMNS = `jobs.sequence, id, jobs.type, status, resources_json, details_json, created_at, jobs.started_at,
  ended_at, duration_ms, current_progress, total_progress, jobs.outcome, error_code, error_description, warnings_json,
  result_json, phase, recovery_json`;

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
