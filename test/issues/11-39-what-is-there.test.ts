// SQLite treats a database file that is shorter than a page as an empty database, and a missing one as a new one. A
// file of one byte therefore became a new database, and the history was lost without an error. Stored parameters that
// were no object (`null`, `[]`, `7`) had no members, and so became the defaults.

import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { DATABASE_FILE } from '../../src/store/database.ts';
import { openStore } from '../../src/store/sqlite-store.ts';
import { fakeDomain } from '../domain/fakes/fake-domain.ts';
import { refusalOf } from '../domain/fakes/refusal.ts';
import { localService } from '../helpers/guest-service.ts';
import { openMemoryStore } from '../helpers/memory-store.ts';
import { dataDirectory, SCHEMA_DIRECTORY } from '../store/fixtures.ts';

function used(): string {
  const directory = dataDirectory();
  const store = openStore(directory, SCHEMA_DIRECTORY);
  store.identity.set('uuid', 'kept');
  store.close();
  return directory;
}

function changed(path: string, ...statements: readonly string[]): void {
  const connection = new Database(path);
  for (const statement of statements) connection.exec(statement);
  connection.close();
}

/** Replaces the database. */
function inPlace(make: (path: string) => void): (path: string) => void {
  return (path) => {
    rmSync(path);
    make(path);
  };
}

describe('a database file that', () => {
  it.each<[string, (path: string) => void, RegExp]>([
    ['has one byte', (path) => writeFileSync(path, 'x'), /has 1 bytes/],
    ['has one NUL', (path) => writeFileSync(path, '\0'), /has 1 bytes/],
    ['was truncated in its header', (path) => truncateSync(path, 99), /has 99 bytes/],
    ['was truncated after its header', (path) => truncateSync(path, 511), /has 511 bytes/],
    ['was truncated in its first page', (path) => truncateSync(path, 1000), /damaged/],
    ['is a text', (path) => writeFileSync(path, 'hello '.repeat(200)), /does not begin as a SQLite database/],
    ['contains only zeros', (path) => writeFileSync(path, Buffer.alloc(8192)), /does not begin/],
    ['is a folder', inPlace((path) => mkdirSync(path)), /is not a file/],
    [
      'is a dangling link',
      inPlace((path) => symlinkSync('/nonexistent/x', path)),
      /a link to a file that does not exist/,
    ],
    [
      'is missing although its log exists',
      (path) => renameSync(path, `${path}-wal`),
      /its log vmferry\.db-wal is there/,
    ],
    ['has only an empty schema', inPlace((path) => changed(path, 'PRAGMA user_version = 1')), /has no tables/],
    ['is of another program', inPlace((path) => changed(path, 'CREATE TABLE t (a)')), /not a database of vmferry/],
    ['lost a table', (path) => changed(path, 'DROP TABLE events'), /'\w*events\w*' is missing/],
    ['lost an index', (path) => changed(path, 'DROP INDEX jobs_open'), /'jobs_open' is missing/],
    [
      'lost a schema step',
      (path) => changed(path, 'DELETE FROM schema_steps WHERE number = 2'),
      /table of schema steps is incomplete/,
    ],
    [
      'lost all schema steps',
      (path) => changed(path, 'DELETE FROM schema_steps'),
      /table of schema steps is incomplete/,
    ],
  ])('%s is refused with advice, and not changed', (_, damage, why) => {
    const directory = used();
    const path = join(directory, DATABASE_FILE);
    damage(path);
    const before = contentOf(path);
    for (const _again of [1, 2]) {
      const refusal = refusalOf(() => openStore(directory, SCHEMA_DIRECTORY).close());
      expect(refusal).toMatchObject({ code: 'database_corrupt' });
      expect(refusal?.message).toMatch(why);
      expect(refusal?.message).toMatch(/Restore it from a copy, or move it away/);
      expect(contentOf(path)).toEqual(before);
    }
  });

  it('is missing together with its log is created', () => {
    const directory = dataDirectory();
    openStore(directory, SCHEMA_DIRECTORY).close();
    rmSync(join(directory, DATABASE_FILE));
    expect(refusalOf(() => openStore(directory, SCHEMA_DIRECTORY).close())).toBeNull();
  });
});

/** The content of the path, or the code of the error. */
function contentOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

describe('settings that were stored as', () => {
  it.each([
    ['parameters', 'null'],
    ['parameters', '[]'],
    ['parameters', '7'],
    ['parameters', '"downtime-limit"'],
    ['parameters', 'true'],
    ['parameters', '[{"downtime-limit":1}]'],
    ['parameters', ''],
    ['capabilities', 'null'],
    ['capabilities', '{}'],
    ['capabilities', '7'],
    ['capabilities', '[7]'],
    ['capabilities', '[null]'],
    ['capabilities', '{"events":true}'],
  ] as const)('%s %s are refused with advice', (kind, json) => {
    const store = openMemoryStore();
    store.settings.save(kind, 0, { json, changedAt: 0 });
    const refusal = refusalOf(() => fakeDomain({ store }));
    expect(refusal).toMatchObject({ code: 'stored_settings_unreadable' });
    expect(refusal?.message).toMatch(new RegExp(`stored ${kind} .*Restore the data directory from a copy`));
    store.close();
  });
});

describe('a stored uuid', () => {
  it.each(['', 'kept', '0-0-0-0-0'])('%j is refused, unless the start has another one', async (uuid) => {
    const directory = dataDirectory();
    const store = openStore(directory, SCHEMA_DIRECTORY);
    store.identity.set('uuid', uuid);
    store.close();
    await expect(localService([], { data: directory })).rejects.toMatchObject({ code: 'stored_settings_unreadable' });
    const own = '5f0c1c6e-9a3d-4b6e-8f10-0123456789ab';
    const service = await localService(['--uuid', own], { data: directory });
    expect((await service.call('/machine')).json.uuid).toBe(own);
  });
});
