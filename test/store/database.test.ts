import { cpSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { DATABASE_FILE } from '../../src/store/database.ts';
import { openStore } from '../../src/store/sqlite-store.ts';
import { refusalOf } from '../domain/fakes/refusal.ts';
import { describeWithMounts, setReadOnly, smallDisk } from '../helpers/snapshots/mounts.ts';
import { dataDirectory, migrationRecord, openedStore, SCHEMA_DIRECTORY } from './fixtures.ts';

function filled(): string {
  const directory = dataDirectory();
  const store = openStore(directory, SCHEMA_DIRECTORY);
  for (let index = 0; index < 200; index += 1) {
    store.migrations.insert(migrationRecord(`m${index}`, { status: 'completed', settingsJson: 'x'.repeat(500) }));
  }
  store.close();
  return directory;
}

const open = (directory: string) => () => openStore(directory, SCHEMA_DIRECTORY).close();

describe('a data directory', () => {
  it('is created at the first start and has the same content at the next', () => {
    const directory = join(dataDirectory(), 'a/b');
    const store = openStore(directory, SCHEMA_DIRECTORY);
    store.identity.set('uuid', 'u');
    store.close();
    expect(openedStore(directory).identity.get('uuid')).toBe('u');
    expect(readdirSync(directory)).not.toContain('vmferry.db.new');
  });

  it('is used by one service at a time', () => {
    const directory = dataDirectory();
    const first = openStore(directory, SCHEMA_DIRECTORY);
    const refusal = refusalOf(open(directory));
    expect(refusal).toMatchObject({ code: 'data_directory_in_use' });
    expect(refusal?.message).toContain(directory);
    first.identity.set('uuid', 'still mine');
    first.close();
    expect(refusalOf(open(directory))).toBeNull();
  });

  it('that cannot be created is refused by name', () => {
    const file = join(dataDirectory(), 'file');
    writeFileSync(file, '');
    for (const path of [file, '/proc/vmferry']) {
      const refusal = refusalOf(open(path));
      expect(refusal).toMatchObject({ code: 'data_directory_unusable' });
      expect(refusal?.message).toContain(path);
    }
  });
});

describe('a database', () => {
  it.each([
    ['is no database', (path: string) => writeFileSync(path, 'GET / HTTP/1.1\r\n'.repeat(500))],
    ['is empty', (path: string) => truncateSync(path, 0)],
    ['lost its end', (path: string) => truncateSync(path, 3 * 4096)],
    ['has a damaged header', (path: string) => damage(path, 0, 16)],
    ['has a damaged page', (path: string) => damage(path, 10 * 4096, 20 * 4096)],
  ])('that %s is refused and not changed', (_, break_) => {
    const directory = filled();
    const path = join(directory, DATABASE_FILE);
    break_(path);
    const before = readFileSync(path);
    const refusal = refusalOf(open(directory));
    expect(refusal).toMatchObject({ code: 'database_corrupt' });
    expect(refusal?.message).toContain(path);
    expect(readFileSync(path).equals(before)).toBe(true);
    // The lock was released: the same error again, not "in use".
    expect(refusalOf(open(directory))).toMatchObject({ code: 'database_corrupt' });
  });

  it('of a newer version is refused and not changed', () => {
    const directory = filled();
    const connection = new Database(join(directory, DATABASE_FILE));
    connection.prepare('INSERT INTO schema_steps (number, name, applied_at) VALUES (9999, ?, 0)').run('future');
    connection.close();
    expect(refusalOf(open(directory))).toMatchObject({ code: 'database_newer' });
  });

  it('of an older version is upgraded step by step, each completely or not at all', () => {
    const directory = filled();
    const step = `${String(readdirSync(SCHEMA_DIRECTORY).length + 1).padStart(4, '0')}_more.sql`;
    const good = schemaWith({
      [step]: 'CREATE TABLE more (id BIGINT PRIMARY KEY); INSERT INTO more VALUES (1);',
    });
    const bad = schemaWith({
      [step]: 'CREATE TABLE more (id BIGINT PRIMARY KEY); INSERT INTO nothing VALUES (1);',
    });
    expect(() => openStore(directory, bad)).toThrow(/nothing/);
    const store = openStore(directory, good);
    expect(store.migrations.get('m7')).not.toBeNull();
    store.close();
    expect(refusalOf(open(directory))).toMatchObject({ code: 'database_newer' });
  });

  it('after a crash has all stored rows, or all but the last ones if the end of its log is missing', () => {
    const [live, whole, cut] = [dataDirectory(), dataDirectory(), dataDirectory()];
    const store = openedStore(live);
    const ids = Array.from({ length: 20 }, (_, index) => `m${index}`);
    for (const id of ids) store.migrations.insert(migrationRecord(id, { settingsJson: 'x'.repeat(5000) }));
    // As after kill -9: two of the three files, neither closed.
    const log = `${DATABASE_FILE}-wal`;
    for (const to of [whole, cut]) for (const name of [DATABASE_FILE, log]) cpSync(join(live, name), join(to, name));
    truncateSync(join(cut, log), Math.floor(statSync(join(cut, log)).size / 2));
    const kept = (directory: string) => {
      const found = openedStore(directory).migrations.unfinished();
      return found.map(({ id }) => id);
    };
    expect(kept(whole)).toEqual(ids);
    const rest = kept(cut);
    expect(rest.length).toBeGreaterThan(0);
    expect(rest).toEqual(ids.slice(0, rest.length));
  });

  it('whose first schema step was interrupted is created again', () => {
    const directory = dataDirectory();
    writeFileSync(join(directory, 'vmferry.db.new'), 'half of a database');
    expect(openedStore(directory).events.bounds()).toEqual({ oldest: 0, newest: 0 });
  });
});

function damage(path: string, from: number, to: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0x5a, from, to);
  writeFileSync(path, bytes);
}

/** A copy of the schema steps with more files. */
function schemaWith(files: Record<string, string>): string {
  const directory = dataDirectory();
  cpSync(SCHEMA_DIRECTORY, directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

describeWithMounts('a data directory on a read-only disk', () => {
  it('is refused by name and not changed', () => {
    const directory = smallDisk(4);
    cpSync(filled(), directory, { recursive: true });
    const before = readdirSync(directory);
    setReadOnly(directory, true);
    const refusal = refusalOf(open(directory));
    expect(refusal).toMatchObject({ code: 'data_directory_unusable', message: expect.stringContaining(directory) });
    expect(readdirSync(directory)).toEqual(before);
  });
});
