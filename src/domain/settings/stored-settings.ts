import type { CapabilityStatus } from '../domain.ts';
import { DomainError } from '../errors.ts';
import { type ExactJson, readExactJson } from '../exact-json.ts';
import type { SettingsKind, Store } from '../store-ports.ts';
import type { ParameterSet } from './declaration.ts';
import { defaultParameters } from './declared-settings.ts';
import type { Capability, CapabilitySet } from './schema-order.ts';
import { changeCapabilities, changeParameters } from './validate.ts';

/** Without a dirty ring, which an earlier start had, dirty-limit is off again: a service must be able to start. */
export function loadCapabilities(
  store: Store,
  hasDirtyRing: boolean,
): { on: CapabilitySet; switchedOff: CapabilitySet } {
  const names = readStored(store, 'capabilities');
  if (names === null) return { on: new Set(), switchedOff: new Set() };
  return unreadableIfRefused('capabilities', () => {
    const list = (names as string[]).map((name) => {
      const state = !name.startsWith(OFF);
      return { capability: state ? name : name.slice(OFF.length), state };
    });
    const subject = { capabilities: new Set<Capability>(), parameters: defaultParameters(), ...AT_REST };
    const loaded = changeCapabilities(subject, list);
    const on = hasDirtyRing ? loaded : new Set([...loaded].filter((name) => name !== 'dirty-limit'));
    return { on, switchedOff: switchedOffAfter(new Set(), list as CapabilityStatus[]) };
  });
}

export function loadParameters(store: Store): ParameterSet {
  const values = readStored(store, 'parameters');
  if (values === null) return defaultParameters();
  return unreadableIfRefused('parameters', () => {
    const subject = { capabilities: new Set<Capability>(), parameters: defaultParameters(), ...AT_REST };
    return changeParameters(subject, values as Record<string, unknown>);
  });
}

/** Stored settings are looked at by themselves, whatever a start makes of them. */
const AT_REST = { incomingStarted: false, hasDirtyRing: true } as const;

/** True if stored settings would pass the rules by themselves at the next start. */
export function isSound(kept: { capabilities: CapabilitySet; parameters: ParameterSet }): boolean {
  try {
    changeCapabilities({ ...kept, ...AT_REST }, []);
    changeParameters({ ...kept, ...AT_REST }, {});
    return true;
  } catch (error) {
    if (error instanceof DomainError) return false;
    throw error;
  }
}

/** Capabilities of which it is kept that they were switched off, as opposed to never set. */
const OFF_IS_KEPT: readonly Capability[] = ['return-path'];
/** Stored capabilities are a list of names: those that are on and, behind this mark, those that were switched off. */
export const OFF = '-';

export function switchedOffAfter(before: CapabilitySet, list: readonly CapabilityStatus[]): CapabilitySet {
  const after = new Set(before);
  for (const name of OFF_IS_KEPT) {
    const newest = list.findLast(({ capability }) => capability === name);
    if (newest?.state === true) after.delete(name);
    else if (newest !== undefined) after.add(name);
  }
  return after;
}

/**
 * The newest stored settings of a kind, as they were written; null if none were ever stored.
 * @throws DomainError if what is stored cannot be settings: it would be taken for the defaults.
 */
function readStored(store: Store, kind: SettingsKind): unknown {
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
function unreadableIfRefused<T>(kind: SettingsKind, work: () => T): T {
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
