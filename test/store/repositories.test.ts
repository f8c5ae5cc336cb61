import { describe, expect, it } from 'vitest';
import { MIGRATION_STATUSES } from '../../src/domain/migration/migration-status.ts';
import { SETTINGS_VERSIONS_KEPT } from '../../src/store/keyed-repositories.ts';
import { pageSql } from '../../src/store/migration-repository.ts';
import { SAMPLED_MIGRATIONS_KEPT } from '../../src/store/migration-time-line.ts';
import { refusalOf } from '../domain/fakes/refusal.ts';
import { openedMemoryDatabase } from '../helpers/memory-store.ts';
import { migrationRecord, openedStore, sampleAt } from './fixtures.ts';

const PASS = {
  pass: 1,
  startedMs: 0.5,
  durationMs: 10,
  sentBytes: 2 ** 52,
  normalPages: 1,
  duplicatePages: 2,
  dirtyBytes: 3,
};

describe('settings', () => {
  it('are stored version by version, and only from the newest version', () => {
    const { settings } = openedStore();
    expect(settings.load('parameters')).toBeNull();
    expect(settings.save('parameters', 0, { json: '{"a":18446744073709551615}', changedAt: 1 })).toBe(true);
    expect(settings.save('parameters', 0, { json: '{}', changedAt: 2 })).toBe(false);
    expect(settings.save('parameters', 7, { json: '{}', changedAt: 2 })).toBe(false);
    expect(settings.load('parameters')).toEqual({ version: 1, json: '{"a":18446744073709551615}' });
    expect(settings.load('capabilities')).toBeNull();
  });

  it('keep a bounded history, and version numbers continue', () => {
    const store = openedStore();
    store.transaction(() => {
      for (let version = 0; version < SETTINGS_VERSIONS_KEPT + 5; version += 1) {
        expect(store.settings.save('parameters', version, { json: '{}', changedAt: 1 })).toBe(true);
      }
    });
    expect(store.settings.load('parameters')?.version).toBe(SETTINGS_VERSIONS_KEPT + 5);
  });
});

describe('identity', () => {
  it('is stored and replaced', () => {
    const { identity } = openedStore();
    expect(identity.get('uuid')).toBeNull();
    identity.set('uuid', 'a');
    identity.set('uuid', 'b');
    expect(identity.get('uuid')).toBe('b');
  });
});

describe('migrations', () => {
  it('are read as they were stored', () => {
    const { migrations } = openedStore();
    const record = migrationRecord('a', { errorCode: 'x', guest: 'unknown', endedAt: 5, resultJson: '{}' });
    migrations.insert(record);
    expect(migrations.get('a')).toEqual(record);
    expect(migrations.get('b')).toBeNull();
  });

  it('change their status only from the expected status', () => {
    const { migrations } = openedStore();
    migrations.insert(migrationRecord('a'));
    expect(migrations.transition('a', 'active', { status: 'failed' })).toBe(false);
    expect(migrations.get('a')?.status).toBe('setup');
    expect(migrations.transition('a', 'setup', { status: 'failed', endedAt: 9, errorDescription: "it's" })).toBe(true);
    expect(migrations.get('a')).toEqual(
      migrationRecord('a', { status: 'failed', endedAt: 9, errorDescription: "it's" }),
    );
    expect(migrations.transition('b', 'setup', { status: 'failed' })).toBe(false);
  });

  it('are unfinished until they have ended', () => {
    const { migrations } = openedStore();
    for (const status of MIGRATION_STATUSES) migrations.insert(migrationRecord(status, { status }));
    const open = MIGRATION_STATUSES.filter((status) => !['completed', 'failed', 'cancelled'].includes(status));
    expect(migrations.unfinished().map(({ id }) => id)).toEqual(open);
  });

  it('keep passes and samples in order, with exact integers', () => {
    const { migrations } = openedStore();
    migrations.insert(migrationRecord('a'));
    migrations.addPass('a', { ...PASS, pass: 2 });
    migrations.addPass('a', PASS);
    migrations.addPass('a', { ...PASS, sentBytes: 1 });
    expect(migrations.passes('a')).toEqual([PASS, { ...PASS, pass: 2 }]);
    migrations.addSamples('a', [sampleAt(100), sampleAt(100)]);
    migrations.addSamples('a', [sampleAt(200)]);
    expect(migrations.samples('a', { limit: 10, cursor: null })).toEqual({
      items: [sampleAt(100), sampleAt(100), sampleAt(200)],
      next: null,
    });
    expect(() => migrations.addSamples('unknown', [sampleAt(1)])).toThrow();
  });

  it('keep all rows and passes, but samples only of the newest ended ones', () => {
    const store = openedStore();
    const { migrations } = store;
    migrations.insert(migrationRecord('open'));
    migrations.addSamples('open', [sampleAt(0)]);
    migrations.insert(migrationRecord('long', { status: 'failed' }));
    migrations.addPass('long', PASS);
    store.transaction(() => {
      for (let at = 0; at < 5000; at += 1000) {
        migrations.addSamples(
          'long',
          Array.from({ length: 1000 }, (_, index) => sampleAt(at + index)),
        );
      }
    });
    store.transaction(() => {
      for (let index = 0; index < SAMPLED_MIGRATIONS_KEPT + 10; index += 1) {
        migrations.insert(migrationRecord(`m${index}`, { status: 'completed' }));
        migrations.addSamples(`m${index}`, [sampleAt(index)]);
      }
    });
    const sampled = (id: string) => migrations.samples(id, { limit: 10, cursor: null }).items.length > 0;
    expect(['open', 'long', 'm9', 'm10'].map(sampled)).toEqual([true, false, false, true]);
    expect(migrations.get('long')).toMatchObject({ status: 'failed' });
    expect(migrations.passes('long')).toEqual([PASS]);
    const { items } = migrations.list({ limit: 5000, cursor: null });
    expect(items).toHaveLength(SAMPLED_MIGRATIONS_KEPT + 12);
  });
});

describe('pages', () => {
  it.each([
    [{}, 'sqlite_autoindex_migrations_1'],
    [{ status: 'failed' }, 'migrations_by_status'],
    [{ direction: 'incoming' }, 'migrations_by_direction'],
    [{ status: 'failed', direction: 'incoming' }, 'migrations_by_direction_and_status'],
  ] as const)('of the history filtered by %j are read from an index, at any length', (filter, index) => {
    const { connection } = openedMemoryDatabase();
    const plan = connection.prepare<[object], { detail: string }>(`EXPLAIN QUERY PLAN ${pageSql(filter)}`);
    const steps = plan.all({ before: 1, limit: 1, ...filter }).map(({ detail }) => detail);
    expect(steps).toEqual([expect.stringContaining(`SEARCH migrations USING INDEX ${index} (`)]);
  });

  it('contain the whole list once, newest first, while rows are added', () => {
    const { migrations } = openedStore();
    for (let index = 0; index < 25; index += 1) migrations.insert(migrationRecord(`m${index}`));
    const seen: string[] = [];
    let cursor: string | null = null;
    let added = 0;
    do {
      const page = migrations.list({ limit: 4, cursor });
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next;
      added += 1;
      migrations.insert(migrationRecord(`late${added}`));
    } while (cursor !== null);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => `m${24 - index}`));
  });

  it('can be filtered', () => {
    const { migrations } = openedStore();
    for (let index = 0; index < 10; index += 1) {
      migrations.insert(
        migrationRecord(`m${index}`, {
          status: index % 2 === 0 ? 'failed' : 'completed',
          direction: index < 5 ? 'incoming' : 'outgoing',
        }),
      );
    }
    const page = migrations.list({ limit: 2, cursor: null, status: 'failed', direction: 'incoming' });
    expect(page.items.map(({ id }) => id)).toEqual(['m4', 'm2']);
    const rest = migrations.list({ limit: 2, cursor: page.next, status: 'failed', direction: 'incoming' });
    expect(rest).toMatchObject({ items: [{ id: 'm0' }], next: null });
  });

  it('accept only cursors of the same list', () => {
    const { migrations } = openedStore();
    for (const id of ['a', 'b', 'c']) migrations.insert(migrationRecord(id));
    migrations.addSamples('a', [sampleAt(1), sampleAt(2), sampleAt(3)]);
    const { next } = migrations.list({ limit: 1, cursor: null });
    const { next: nextSample } = migrations.samples('a', { limit: 2, cursor: null });
    expect(migrations.samples('a', { limit: 2, cursor: nextSample })).toEqual({ items: [sampleAt(3)], next: null });
    const forged = [
      () => migrations.list({ limit: 1, cursor: 'x' }),
      () => migrations.list({ limit: 1, cursor: '' }),
      () => migrations.list({ limit: 1, cursor: "1' OR 1=1" }),
      () => migrations.list({ limit: 1, cursor: Buffer.from('5.00000000').toString('base64url') }),
      () => migrations.list({ limit: 1, cursor: nextSample }),
      () => migrations.list({ limit: 1, cursor: next, status: 'failed' }),
      () => migrations.samples('b', { limit: 1, cursor: nextSample }),
      () => migrations.list({ limit: 1, cursor: `${next}=` }),
    ];
    for (const read of forged) expect(refusalOf(read)).toMatchObject({ code: 'invalid_cursor', kind: 'malformed' });
  });
});

describe('events', () => {
  it('are numbered consecutively, and no number is used again', () => {
    const { events } = openedStore();
    expect(events.bounds()).toEqual({ oldest: 0, newest: 0 });
    const first = events.append({ name: 'STOP', data: null, at: 5 });
    const second = events.append({ name: 'MIGRATION', data: { status: 'setup' }, at: 6 });
    expect([first.id, second.id]).toEqual([1, 2]);
    expect(events.since(0, 10)).toEqual([first, second]);
    events.prune(0);
    expect(events.bounds()).toEqual({ oldest: 0, newest: 0 });
    expect(events.append({ name: 'STOP', data: null, at: 7 }).id).toBe(3);
  });

  it('are pruned from the oldest', () => {
    const store = openedStore();
    store.transaction(() => {
      for (let index = 0; index < 2500; index += 1) store.events.append({ name: 'STOP', data: null, at: index });
    });
    store.events.prune(100);
    expect(store.events.bounds()).toEqual({ oldest: 2401, newest: 2500 });
    store.events.prune(100);
    expect(store.events.since(0, 5000)).toHaveLength(100);
  });

  it('of a failed transaction are not stored', () => {
    const store = openedStore();
    const failing = () =>
      store.transaction(() => {
        store.events.append({ name: 'STOP', data: null, at: 1 });
        store.migrations.insert(migrationRecord('a'));
        throw new Error('no');
      });
    expect(failing).toThrow('no');
    expect(store.events.bounds().newest).toBe(0);
    expect(store.migrations.get('a')).toBeNull();
    expect(store.events.append({ name: 'STOP', data: null, at: 1 }).id).toBe(1);
  });
});
