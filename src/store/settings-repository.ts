import type { SettingsKind, SettingsRepository } from '../domain/store-ports.ts';
import type { OpenDatabase } from './database.ts';
import { inTransaction } from './transaction.ts';

/** Versions of each kind that are kept; older ones are removed when a new one is appended. */
export const SETTINGS_VERSIONS_KEPT = 1000;

type Row = { readonly version: number; readonly json: string };

/** Settings, version by version; the newest is the one in force. What would be lost at the next start is not taken. */
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
