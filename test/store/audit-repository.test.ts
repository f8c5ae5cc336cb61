import { describe, expect, test } from 'vitest';
import type { AuditRecord } from '../../src/domain/ports/store.ts';
import { auditRepository } from '../../src/store/audit-repository.ts';
import { openedMemoryDatabase } from '../helpers/memory-store.ts';

type NewRow = Omit<AuditRecord, 'id' | 'durationMs'>;

const ROW: NewRow = {
  at: 1_750_000_000_000,
  door: 'http',
  name: 'token-00000000',
  address: '192.0.2.1',
  requestId: 'r1',
  command: 'stop',
  arguments: '{}',
  outcome: 'running',
  errorCode: null,
};

function repository() {
  const { connection } = openedMemoryDatabase();
  const audit = auditRepository(connection);
  const add = (count: number, change: Partial<NewRow> = {}) =>
    Array.from({ length: count }, () => audit.add({ ...ROW, ...change }));
  const all = () => audit.list({ limit: 1000, cursor: null }).items;
  return { connection, audit, add, all };
}

describe('the audit trail in the database', () => {
  test('has a row from the start of a command, and its end afterwards', () => {
    const { audit, all } = repository();
    const id = audit.add(ROW);
    expect(all()).toEqual([{ ...ROW, id, durationMs: null }]);
    audit.end(id, { outcome: 'failed', errorCode: 'no_space', durationMs: 1.5 });
    expect(all()).toEqual([{ ...ROW, id, outcome: 'failed', errorCode: 'no_space', durationMs: 1.5 }]);
  });

  test('closes the unfinished rows of an earlier process as unknown', () => {
    const { connection, add, all } = repository();
    add(1);
    add(1, { outcome: 'refused', errorCode: 'not_allowed' });
    auditRepository(connection).closeOpen();
    expect(all().map(({ outcome }) => outcome)).toEqual(['refused', 'unknown']);
  });

  test('is listed in pages, newest first, while rows are added and removed', () => {
    const { audit, add } = repository();
    add(5, { outcome: 'succeeded' });
    const first = audit.list({ limit: 2, cursor: null });
    add(3, { outcome: 'succeeded' });
    const second = audit.list({ limit: 2, cursor: first.next });
    audit.prune({ keep: 3, keepRefusals: 0 });
    const third = audit.list({ limit: 2, cursor: second.next });
    expect([first, second, third].map(({ items }) => items.map(({ id }) => id))).toEqual([[5, 4], [3, 2], []]);
    expect(third.next).toBeNull();
    expect(() => audit.list({ limit: 2, cursor: 'forged' })).toThrow('cursor');
  });

  test('keeps refusals and other rows independent of each other', () => {
    const { audit, add, all } = repository();
    add(4, { outcome: 'succeeded' });
    add(20, { outcome: 'refused' });
    audit.prune({ keep: 3, keepRefusals: 5 });
    const count = (outcome: string) => all().filter((row) => row.outcome === outcome).length;
    expect([count('succeeded'), count('refused')]).toEqual([3, 5]);
    add(2, { outcome: 'refused' });
    add(2, { outcome: 'succeeded' });
    audit.prune({ keep: 3, keepRefusals: 5 });
    expect([count('succeeded'), count('refused')]).toEqual([3, 5]);
    expect(Math.max(...all().map(({ id }) => id))).toBe(28);
  });

  test('answers its queries from indexes', () => {
    const { connection } = repository();
    const plan = (sql: string) => JSON.stringify(connection.prepare(`EXPLAIN QUERY PLAN ${sql}`).all());
    expect(plan("SELECT id FROM audit WHERE outcome <> 'refused' ORDER BY id LIMIT 9")).toContain('audit_others');
    expect(plan("SELECT COUNT(*) FROM audit WHERE outcome = 'refused'")).toContain('audit_refusals');
    expect(plan("UPDATE audit SET outcome = 'unknown' WHERE outcome = 'running'")).toContain('audit_running');
  });
});
