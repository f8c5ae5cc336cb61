import type { IdentityRepository, SettingsKind, SettingsRepository } from '../domain/ports/store.ts';
import type { OpenDatabase } from './database.ts';
import { type Connection, inTransaction } from './transaction.ts';

/** Versions of each kind that are kept. Appending a version removes older ones. */
export const SETTINGS_VERSIONS_KEPT = 1000;

type Row = { readonly version: number; readonly json: string };

/** Settings by version; the newest version is in force. `save` fails if the database file was removed while it was open. */
export function settingsRepository(database: Pick<OpenDatabase, 'connection' | 'refuseIfGone'>): SettingsRepository {
  const { connection } = database;
  const newest = connection.prepare<[SettingsKind], Row>(
    'SELECT version, json FROM settings_versions WHERE kind = ? ORDER BY version DESC LIMIT 1',
  );
  const append = connection.prepare<[SettingsKind, number, string, number]>(
    'INSERT INTO settings_versions (kind, version, json, changed_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const removeOld = connection.prepare<[SettingsKind, number]>(
    'DELETE FROM settings_versions WHERE kind = ? AND version <= ?',
  );
  return {
    load: (kind) => newest.get(kind) ?? null,
    save: (kind, expectedVersion, { json, changedAt }) => {
      database.refuseIfGone();
      return inTransaction(connection, () => {
        if ((newest.get(kind)?.version ?? 0) !== expectedVersion) return false;
        const isAppended = append.run(kind, expectedVersion + 1, json, changedAt).changes === 1;
        if (isAppended) removeOld.run(kind, expectedVersion + 1 - SETTINGS_VERSIONS_KEPT);
        return isAppended;
      });
    },
  };
}

/** The identity of the machine, such as its UUID. It is written once and then kept. */
export function identityRepository(connection: Connection): IdentityRepository {
  const get = connection.prepare<[string], { readonly value: string }>('SELECT value FROM identity WHERE name = ?');
  const set = connection.prepare<[string, string]>(
    'INSERT INTO identity (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );
  return {
    get: (key) => get.get(key)?.value ?? null,
    set: (key, value) => {
      set.run(key, value);
    },
  };
}
