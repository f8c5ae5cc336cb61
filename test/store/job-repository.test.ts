import { describe, expect, it } from 'vitest';
import type { JobRecord, NewJob } from '../../src/domain/ports/store.ts';
import { JOBS_KEPT, jobPageSql, jobRepository } from '../../src/store/job-repository.ts';
import { refusalOf } from '../domain/fakes/refusal.ts';
import { openedMemoryDatabase } from '../helpers/memory-store.ts';

const NEW: NewJob = { id: null, type: 'snapshot-save', resources: ['node:disk0'], details: {}, createdAt: 1 };

const ENDED = { status: 'concluded', startedAt: 2, endedAt: 5, durationMs: 3, outcome: 'completed' } as const;

function opened() {
  const { connection } = openedMemoryDatabase();
  const jobs = jobRepository(connection);
  /** Adds a job that has ended. */
  const add = (about: Partial<NewJob> = {}, end: Partial<JobRecord> = {}): JobRecord => {
    const ended = { ...jobs.insert({ ...NEW, ...about }), ...ENDED, ...end };
    jobs.save(ended);
    return ended;
  };
  return { connection, jobs, add };
}

describe('a job', () => {
  it('is read as it was stored, with exact 64-bit integers', () => {
    const { jobs } = opened();
    const begun = jobs.insert({ ...NEW, id: 'a', details: { clock: 2n ** 62n, devices: ['disk0'] } });
    expect(jobs.get('a')).toEqual(begun);
    const ended: JobRecord = {
      ...begun,
      ...ENDED,
      outcome: 'failed',
      currentProgress: 2 ** 50,
      totalProgress: 2 ** 51,
      errorCode: 'no_space',
      errorDescription: 'full',
      warnings: ['one', 'two'],
      result: { bytes: 2n ** 63n, digests: [{ name: 'ram' }] },
      phase: 'write',
    };
    jobs.save(ended);
    expect(jobs.get('a')).toEqual(ended);
  });

  it('is distinguished by its number from others with its id, and the newest is found', () => {
    const { jobs, add } = opened();
    const first = add({ id: 'a' });
    const second = jobs.insert({ ...NEW, id: 'a' });
    expect(second.sequence).toBeGreaterThan(first.sequence);
    expect(jobs.get('a')?.sequence).toBe(second.sequence);
    jobs.save({ ...first, warnings: ['late'] });
    expect(jobs.get('a')?.warnings).toEqual([]);
    expect(jobs.get('b')).toBeNull();
  });

  it('without a row cannot be saved', () => {
    const { jobs, add } = opened();
    expect(() => jobs.save({ ...add(), sequence: 99 })).toThrow('has no row 99');
  });
});

describe('the jobs of an earlier process', () => {
  it('that are unfinished or need a repair are returned, oldest first', () => {
    const { jobs, add } = opened();
    add({ id: 'done' });
    jobs.insert({ ...NEW, id: 'runs' });
    const broken = add({ id: 'broken' }, { phase: 'write' });
    expect(jobs.open().map(({ id }) => id)).toEqual(['runs', 'broken']);
    jobs.save({ ...broken, phase: null });
    expect(jobs.open().map(({ id }) => id)).toEqual(['runs']);
  });
});

describe('lists of jobs', () => {
  it('contain ended jobs, by type, outcome and resource, newest first', () => {
    const { jobs, add } = opened();
    add({ id: 'a' });
    add({ id: 'b', type: 'snapshot-load', resources: ['machine', 'node:disk0', 'node:disk1'] });
    add({ id: 'c', resources: ['node:disk1'] }, { outcome: 'failed' });
    jobs.insert({ ...NEW, id: 'runs' });
    const ids = (filter: Partial<Parameters<typeof jobs.list>[0]>) =>
      jobs.list({ limit: 10, cursor: null, ...filter }).items.map(({ id }) => id);
    expect(ids({})).toEqual(['c', 'b', 'a']);
    expect(ids({ type: 'snapshot-save' })).toEqual(['c', 'a']);
    expect(ids({ outcome: 'completed' })).toEqual(['b', 'a']);
    expect(ids({ type: 'snapshot-save', outcome: 'failed' })).toEqual(['c']);
    expect(ids({ resource: 'node:disk0' })).toEqual(['b', 'a']);
    expect(ids({ resource: 'node:disk1', type: 'snapshot-load' })).toEqual(['b']);
    expect(ids({ resource: 'node:disk1', outcome: 'completed' })).toEqual(['b']);
    expect(ids({ resource: 'node:disk1', type: 'snapshot-save', outcome: 'completed' })).toEqual([]);
  });

  it('contain all jobs once while jobs are added', () => {
    const { jobs, add } = opened();
    const all = Array.from({ length: 10 }, () => add().id).reverse();
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page = jobs.list({ limit: 3, cursor });
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next;
      add();
    } while (cursor !== null);
    expect(seen).toEqual(all);
  });

  it('accept no cursor of a list with another filter', () => {
    const { jobs, add } = opened();
    for (const _ of [1, 2, 3]) add();
    const { next } = jobs.list({ limit: 1, cursor: null });
    expect(refusalOf(() => jobs.list({ limit: 1, cursor: next, type: 'x' }))?.code).toBe('invalid_cursor');
    expect(refusalOf(() => jobs.list({ limit: 1, cursor: next, resource: 'x' }))?.code).toBe('invalid_cursor');
  });

  it.each([
    [{}, 'job_listings_all'],
    [{ resource: 'node:disk0' }, 'job_listings_all'],
    [{ type: 'snapshot-save' }, 'job_listings_by_type'],
    [{ outcome: 'failed' }, 'job_listings_by_outcome'],
    [{ resource: 'node:disk0', type: 'snapshot-save', outcome: 'failed' }, 'job_listings_by_both'],
  ] as const)('filtered by %j are read from an index, at any length', (filter, index) => {
    const { connection } = opened();
    const plan = connection.prepare<[object], { detail: string }>(`EXPLAIN QUERY PLAN ${jobPageSql(filter)}`);
    const steps = plan.all({ resource: '*', before: 1, limit: 1, ...filter }).map(({ detail }) => detail);
    expect(steps).toEqual([
      expect.stringMatching(new RegExp(`^SEARCH listed USING (COVERING )?INDEX ${index} \\(.*job_sequence<\\?\\)$`)),
      expect.stringContaining('SEARCH jobs USING INDEX sqlite_autoindex_jobs_1 (sequence=?)'),
    ]);
  });
});

describe('another query', () => {
  it.each([
    ['of one id', 'SELECT 1 FROM jobs WHERE id = ? ORDER BY sequence DESC LIMIT 1', 'jobs_by_id (id=?)'],
    ['at the start', 'SELECT * FROM jobs WHERE is_open = 1 ORDER BY sequence', 'jobs_open (is_open=?)'],
    [
      'of the retention',
      'SELECT sequence FROM jobs WHERE is_open = 0 AND sequence <= ? ORDER BY sequence LIMIT 9',
      'jobs_open (is_open=? AND sequence<?)',
    ],
  ])('uses an index: %s', (_, sql, index) => {
    const { connection } = opened();
    const plan = connection.prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql.replace('?', '1')}`).all();
    expect(plan.map(({ detail }) => detail)).toEqual([expect.stringContaining(index)]);
  });
});

describe('the retention', () => {
  it('removes a few of the oldest jobs with each new job, with their list entries, but no unfinished one', () => {
    const { connection, jobs, add } = opened();
    jobs.insert({ ...NEW, id: 'runs' });
    for (let made = 0; made < 15; made += 1) add({ id: `a${made}` });
    add({ id: 'broken' }, { phase: 'write' });
    connection.prepare("UPDATE counters SET value = ? WHERE name = 'jobs'").run(JOBS_KEPT + 17);
    const count = (table: string) =>
      (connection.prepare(`SELECT COUNT(*) AS count FROM ${table}`).get() as { count: number }).count;
    add({ id: 'b' });
    expect(count('jobs')).toBe(18 - 10);
    expect(jobs.get('a9')).toBeNull();
    add({ id: 'c' });
    expect(jobs.list({ limit: 100, cursor: null }).items.map(({ id }) => id)).toEqual(['c', 'b', 'broken']);
    expect(jobs.open().map(({ id }) => id)).toEqual(['runs', 'broken']);
    expect(count('job_listings')).toBe(3 * 2);
  });
});
