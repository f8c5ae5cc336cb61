import type { IdentityRepository } from '../domain/store-ports.ts';
import type { Connection } from './transaction.ts';

/** Who the machine is: made once and kept. */
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
