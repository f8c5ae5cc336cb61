import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DATABASE_FILE } from '../../src/store/database.ts';
import { openStore } from '../../src/store/sqlite-store.ts';
import { refusalOf } from '../domain/fakes/refusal.ts';
import { dataDirectory, SCHEMA_DIRECTORY } from './fixtures.ts';

const WRITER = fileURLToPath(new URL('./writer.ts', import.meta.url));

/** Starts the writer, which prints the version of each committed change. */
function startWriter(directory: string): ChildProcess {
  const child = spawn(process.execPath, [WRITER, directory, SCHEMA_DIRECTORY], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return child;
}

/** Resolves with the newest version when the writer has printed `count` committed changes. The writer continues. */
function committed(child: ChildProcess, count: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.once('exit', () => reject(new Error('the writer ended early')));
    child.stdout?.on('data', (chunk) => {
      text += String(chunk);
      const lines = text.split('\n').slice(0, -1);
      if (lines.length >= count) resolve(Number(lines.at(-1)));
    });
  });
}

describe('kill -9 of a process that writes', () => {
  it('loses no committed row, leaves no partial change, and releases the directory', async () => {
    const directory = dataDirectory();
    let newest = 0;
    for (const changes of [1, 40, 200]) {
      const child = startWriter(directory);
      newest = await committed(child, changes);
      expect(refusalOf(() => openStore(directory, SCHEMA_DIRECTORY))).toMatchObject({ code: 'data_directory_in_use' });
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      expect(await gone).toEqual([null, 'SIGKILL']);
      const store = openStore(directory, SCHEMA_DIRECTORY);
      const version = store.settings.load('parameters')!.version;
      expect(version).toBeGreaterThanOrEqual(newest);
      // Each change wrote a version, an event and a migration in one transaction.
      expect(store.events.bounds().newest).toBe(version);
      expect(store.settings.load('parameters')!.json).toBe(JSON.stringify({ version }));
      expect(store.migrations.get(`m${version}`)?.settingsJson).toBe(JSON.stringify({ version }));
      expect(store.migrations.get(`m${version + 1}`)).toBeNull();
      store.close();
      const connection = new Database(join(directory, DATABASE_FILE), { readonly: true });
      expect(connection.pragma('integrity_check', { simple: true })).toBe('ok');
      connection.close();
    }
  });
});
