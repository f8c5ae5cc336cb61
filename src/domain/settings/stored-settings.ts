import { DomainError } from '../errors.ts';
import { type ExactJson, readExactJson } from '../exact-json.ts';
import type { SettingsKind, Store } from '../store-ports.ts';

/**
 * The newest stored settings of a kind, as they were written; null if none were ever stored.
 * @throws DomainError if what is stored cannot be settings: it would be taken for the defaults.
 */
export function readStored(store: Store, kind: SettingsKind): unknown {
  const newest = store.settings.load(kind);
  if (newest === null) return null;
  return unreadableIfRefused(kind, () => {
    const value = readExactJson(newest.json);
    const isRight = SHAPES[kind].fits(value);
    if (!isRight) throw new RangeError(`they are ${newest.json.slice(0, SHOWN_MAX)}, not ${SHAPES[kind].is}.`);
    return value;
  });
}

/** Characters of what is stored that a refusal shows. */
const SHOWN_MAX = 40;
/** What is stored of each kind. */
const SHAPES: Readonly<Record<SettingsKind, { readonly is: string; fits(value: ExactJson): boolean }>> = {
  capabilities: {
    is: 'a list of names',
    fits: (value) => Array.isArray(value) && value.every((name) => typeof name === 'string'),
  },
  parameters: {
    is: 'an object of values by name',
    fits: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  },
};

/** Runs `work` on stored settings. @throws DomainError stored_settings_unreadable for whatever it throws. */
export function unreadableIfRefused<T>(kind: SettingsKind, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const advice = 'Restore the data directory from a copy, or move its database away to begin anew.';
    throw new DomainError('stored_settings_unreadable', `The stored ${kind} cannot be read: ${why} ${advice}`, {
      cause,
    });
  }
}
