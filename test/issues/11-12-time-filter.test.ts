// A client that wanted the migrations of one day had to read all pages of the history. Row numbers do not select a
// time range, because the clock of a host may be set back. A list with a time limit is therefore sorted by time, and
// has its own indexes and cursors.

import { describe, expect, test } from 'vitest';
import { parseMoment } from '../../src/cli/option-values.ts';
import { AUDIT_TIME_SQL } from '../../src/store/audit-repository.ts';
import { jobPageSql } from '../../src/store/job-repository.ts';
import { pageSql } from '../../src/store/migration-repository.ts';
import { readMoment } from '../../src/text/moment.ts';
import { refusalOf } from '../domain/fakes/refusal.ts';
import { ask, fakeApp } from '../helpers/app.ts';
import { openedMemoryDatabase } from '../helpers/memory-store.ts';
import { migrationRecord, openedStore } from '../store/fixtures.ts';

const RANGE = { startedAfter: 1, startedBefore: 9 };

describe('a page of a time range', () => {
  const migrations = [
    [{}, 'migrations_by_start'],
    [{ status: 'failed' }, 'migrations_by_status_and_start'],
    [{ direction: 'incoming' }, 'migrations_by_direction_and_start'],
    [{ status: 'failed', direction: 'incoming' }, 'migrations_by_both_and_start'],
  ] as const;
  const jobs = [
    [{}, 'job_listings_by_start'],
    [{ type: 'snapshot-save' }, 'job_listings_by_type_and_start'],
    [{ outcome: 'failed' }, 'job_listings_by_outcome_and_start'],
    [{ type: 'snapshot-save', outcome: 'failed' }, 'job_listings_by_both_and_start'],
  ] as const;
  test.each([
    ...migrations.map(([filter, index]) => [index, 'two bounds', pageSql({ ...filter, ...RANGE }), filter] as const),
    ...migrations.map(
      ([filter, index]) => [index, 'one bound', pageSql({ ...filter, startedAfter: 1 }), filter] as const,
    ),
    ...jobs.map(([filter, index]) => [index, 'two bounds', jobPageSql({ ...filter, ...RANGE }), filter] as const),
    ['audit_by_time', 'two bounds', AUDIT_TIME_SQL, {}] as const,
  ])('is read from index %s with %s, without a sort', (index, _bounds, sql, filter) => {
    const { connection } = openedMemoryDatabase();
    const values = { after: 1, at: 9, before: 0, limit: 1, resource: '*', ...filter };
    const steps = connection
      .prepare<[object], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
      .all(values)
      .map(({ detail }) => detail);
    // Both bounds are limits of the walk, so that rows out of the range are not looked at.
    expect(steps[0]).toMatch(new RegExp(`INDEX ${index} \\(.*(?:started_at|at)>\\? AND .*<`));
    expect(steps.join()).not.toContain('TEMP B-TREE');
  });

  test('follows the page before without a gap or a repetition, while rows are added and the clock is set back', () => {
    const { migrations } = openedStore();
    // The clock was set back twice, and several rows have one time.
    const times = [50, 60, 60, 20, 30, 60, 10, 60, 40, 40, 70];
    for (const [index, startedAt] of times.entries()) migrations.insert(migrationRecord(`m${index}`, { startedAt }));
    const seen: string[] = [];
    let cursor: string | null = null;
    let added = 0;
    do {
      const page = migrations.list({ limit: 2, cursor, startedAfter: 10, startedBefore: 70 });
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next;
      added += 1;
      migrations.insert(migrationRecord(`late${added}`, { startedAt: 65 }));
    } while (cursor !== null);
    expect(seen).toEqual(['m7', 'm5', 'm2', 'm1', 'm0', 'm9', 'm8', 'm4', 'm3']);
  });

  test('has a cursor that is valid for this range only', () => {
    const { migrations } = openedStore();
    for (const id of ['a', 'b', 'c']) migrations.insert(migrationRecord(id, { startedAt: 5 }));
    const { next: cursor } = migrations.list({ limit: 1, cursor: null, ...RANGE });
    const others = [{}, { startedAfter: 1 }, { ...RANGE, startedBefore: 8 }, { ...RANGE, status: 'setup' as const }];
    for (const other of others)
      expect(refusalOf(() => migrations.list({ limit: 1, cursor, ...other }))).toMatchObject({
        code: 'invalid_cursor',
      });
    expect(migrations.list({ limit: 1, cursor, ...RANGE }).items).toMatchObject([{ id: 'b' }]);
  });
});

test('jobs that started in the range are listed in the order of their starts, without jobs that never started', () => {
  const { jobs } = openedStore();
  for (const startedAt of [30, 20, null, 40]) {
    const job = jobs.insert({ id: null, type: 'snapshot-save', resources: [], details: {}, createdAt: 1 });
    jobs.save({ ...job, status: 'concluded', startedAt, endedAt: 50, outcome: 'completed' });
  }
  const { items } = jobs.list({ limit: 9, cursor: null, startedBefore: 40, type: 'snapshot-save' });
  expect(items.map(({ startedAt }) => startedAt)).toEqual([30, 20]);
});

describe('started-after and started-before', () => {
  test('filter migrations, ended jobs and the audit trail, and are kept in links', async () => {
    const { server, domain, outgoing } = await fakeApp();
    for (const uri of ['tcp:127.0.0.1:1', 'tcp:127.0.0.1:2']) {
      await ask(server, '/migrate', { body: { uri } });
      outgoing().finish('failed', { code: 'connection_refused', message: 'refused' });
      await expect.poll(() => domain.migration.newest()?.status).toBe('failed');
    }
    await ask(server, '/snapshots', { body: { tag: 'a' }, headers: { prefer: 'wait=30' } });
    const rowsOf = async (url: string) => (Object.values((await ask(server, url)).json)[0] as []).length;
    for (const [path, rows] of [
      ['/migrations', 2],
      ['/jobs/history', 1],
      ['/audit', 3],
    ] as const) {
      expect([path, await rowsOf(`${path}?started-after=2001-01-01T00:00:00Z`)]).toEqual([path, rows]);
      expect([path, await rowsOf(`${path}?started-before=2001-01-01T00:00:00%2B02:00`)]).toEqual([path, 0]);
    }
    const first = await ask(server, '/migrations?limit=1&started-after=2001-01-01T00:00:00.5Z');
    const next = /^<([^>]+)>/.exec(String(first.headers.link))?.[1] ?? '';
    expect(new URL(next, 'http://h').searchParams.get('started-after')).toBe('2001-01-01T00:00:00.5Z');
    expect((await ask(server, next)).json).toMatchObject({ migrations: [{ uri: 'tcp:127.0.0.1:1' }], next: null });
  });

  test.each([
    ...['', 'yesterday', '1717243200', '2025-06-01', '2025-06-01T12:00:00', '2025-06-01T12:00:00 02:00'],
    ...['2025-02-30T00:00:00Z', '2025-13-01T00:00:00Z', '2025-06-01T24:00:00Z', '2025-06-01T12:60:00Z'],
  ])('%j is refused with the allowed forms', async (text) => {
    const { server } = await fakeApp();
    for (const path of ['/migrations', '/jobs/history', '/audit']) {
      const { status, json } = await ask(server, `${path}?started-after=${encodeURIComponent(text)}`);
      expect([status, json.code]).toEqual([400, 'wrong_type']);
      expect(json.detail).toContain('/started-after must be a date and a time with a zone, such as');
    }
  });

  test('an empty range is refused', async () => {
    const { server } = await fakeApp();
    const range = 'started-after=2025-06-02T00:00:00Z&started-before=2025-06-01T00:00:00Z';
    for (const path of ['/migrations', '/jobs/history', '/audit'])
      expect((await ask(server, `${path}?${range}`)).json).toMatchObject({
        status: 422,
        errors: [{ pointer: '/started-after' }],
      });
  });
});

test('a time is read to the millisecond, in any zone and letter case', () => {
  expect(readMoment('2025-06-01T12:00:00.1239+02:00')).toBe(Date.UTC(2025, 5, 1, 10, 0, 0, 123));
  expect(readMoment('2024-02-29t00:00:00z')).toBe(Date.UTC(2024, 1, 29));
});

test('--since accepts a date, or a time with or without a zone', () => {
  expect(parseMoment('2025-06-01T12:00:00+02:00')).toBe('2025-06-01T10:00:00.000Z');
  expect(parseMoment('2025-06-01')).toBe(new Date(2025, 5, 1).toISOString());
  expect(parseMoment('2025-06-01 12:30')).toBe(new Date(2025, 5, 1, 12, 30).toISOString());
  for (const text of ['', 'now', '2025-02-30', '12:00']) expect(() => parseMoment(text)).toThrow('It must be a time');
});
