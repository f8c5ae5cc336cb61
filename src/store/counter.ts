import type { Connection } from './transaction.ts';

/** Hands out the next number of a counter; to be called inside the transaction that uses it. */
export function counter(
  connection: Connection,
  name: 'migrations' | 'jobs' | 'events' | 'audit' | 'announcements',
): () => number {
  const next = connection.prepare<[string], { readonly value: number }>(
    'UPDATE counters SET value = value + 1 WHERE name = ? RETURNING value',
  );
  return () => {
    const row = next.get(name);
    if (row === undefined) throw new Error(`there is no counter ${name}`);
    return row.value;
  };
}
