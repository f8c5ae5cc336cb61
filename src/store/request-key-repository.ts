import type { RequestKeyRecord, RequestKeyRepository } from '../domain/ports/store.ts';
import type { Connection } from './transaction.ts';

type Row = {
  readonly key: string;
  readonly fingerprint: string;
  readonly location: string;
  readonly body: string;
  readonly job_sequence: number | null;
  readonly kept_at: number;
};

/** Answers to requests with an Idempotency-Key. */
export function requestKeyRepository(connection: Connection): RequestKeyRepository {
  const get = connection.prepare<[string], Row>(
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
}: Row): RequestKeyRecord {
  return { key, fingerprint, location, body, jobSequence, keptAt };
}
