import type {
  IdentityRepository,
  RequestKeyRecord,
  RequestKeyRepository,
  SettingsKind,
  SettingsRepository,
} from '../domain/ports/store.ts';
import type { OpenDatabase } from './database.ts';
import { type Connection, inTransaction } from './database-file.ts';

/** Versions of each kind that are kept. Appending a version removes older ones. */
export const SETTINGS_VERSIONS_KEPT = 1000;

type SettingsRow = { readonly version: number; readonly json: string };

/** Settings by version; the newest version is in force. `save` fails if the database file was removed while it was open. */
export function settingsRepository(database: Pick<OpenDatabase, 'connection' | 'refuseIfGone'>): SettingsRepository {
  const { connection } = database;
  const newest = connection.prepare<[SettingsKind], SettingsRow>(
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

type RequestKeyRow = {
  readonly key: string;
  readonly fingerprint: string;
  readonly location: string;
  readonly body: string;
  readonly job_sequence: number | null;
  readonly kept_at: number;
};

/** Answers to requests with an Idempotency-Key. */
export function requestKeyRepository(connection: Connection): RequestKeyRepository {
  const get = connection.prepare<[string], RequestKeyRow>(
    'SELECT key, fingerprint, location, body, job_sequence, kept_at FROM request_keys WHERE key = ?',
  );
  const put = connection.prepare<[string, string, string, string, number | null, number]>(
    `INSERT INTO request_keys (key, fingerprint, location, body, job_sequence, kept_at) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, location = excluded.location,
        body = excluded.body, job_sequence = excluded.job_sequence, kept_at = excluded.kept_at`,
  );
  const removeOld = connection.prepare<[number, number]>(
    'DELETE FROM request_keys WHERE key IN (SELECT key FROM request_keys WHERE kept_at <= ? ORDER BY kept_at LIMIT ?)',
  );
  return {
    get: (key) => {
      const row = get.get(key);
      return row === undefined ? null : fromRow(row);
    },
    put: ({ key, fingerprint, location, body, jobSequence, keptAt }) => {
      put.run(key, fingerprint, location, body, jobSequence, keptAt);
    },
    removeOld: (keptUntil, limit) => removeOld.run(keptUntil, limit).changes,
  };
}

function fromRow({
  key,
  fingerprint,
  location,
  body,
  job_sequence: jobSequence,
  kept_at: keptAt,
}: RequestKeyRow): RequestKeyRecord {
  return { key, fingerprint, location, body, jobSequence, keptAt };
}
