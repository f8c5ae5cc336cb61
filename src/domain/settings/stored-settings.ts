import { DomainError } from '../errors.ts';
import { type ExactJson, readExactJson } from '../exact-json.ts';
import type { SettingsKind, Store } from '../ports/store.ts';
import type { ParameterSet } from './declaration.ts';
import { type CapabilityStatus, defaultParameters } from './declared-settings.ts';
import type { Capability, CapabilitySet } from './schema-order.ts';
import { changeCapabilities, changeParameters } from './settings-checks.ts';

/**
 * The stored capabilities that are on, and the capabilities of OFF_IS_KEPT that were switched off. Without a dirty ring
 * dirty-limit is off, so that a service can start without the ring of an earlier start.
 */
export function loadCapabilities(
  store: Store,
  hasDirtyRing: boolean,
): { on: CapabilitySet; switchedOff: CapabilitySet } {
  const names = readStored(store, 'capabilities');
  if (names === null) return { on: new Set(), switchedOff: new Set() };
  return unreadableIfRefused('capabilities', () => {
    const list = (names as string[]).map((name) => {
      const state = !name.startsWith(OFF_MARK);
      return { capability: state ? name : name.slice(OFF_MARK.length), state };
    });
    const subject = { capabilities: new Set<Capability>(), parameters: defaultParameters(), ...AT_REST };
    const loaded = changeCapabilities(subject, list);
    const on = hasDirtyRing ? loaded : new Set([...loaded].filter((name) => name !== 'dirty-limit'));
    return { on, switchedOff: switchedOffAfter(new Set(), list as CapabilityStatus[]) };
  });
}

/** The stored parameters; those that were never set have their defaults. */
export function loadParameters(store: Store): ParameterSet {
  const values = readStored(store, 'parameters');
  if (values === null) return defaultParameters();
  return unreadableIfRefused('parameters', () => {
    const subject = { capabilities: new Set<Capability>(), parameters: defaultParameters(), ...AT_REST };
    return changeParameters(subject, values as Record<string, unknown>);
  });
}

/** Stored settings are checked as if the machine supported everything, because each start may have another machine. */
const AT_REST = { incomingStarted: false, hasDirtyRing: true } as const;

/** True if these stored settings pass the rules at the next start, which may lack this start's overrides. */
export function passesRules(kept: { capabilities: CapabilitySet; parameters: ParameterSet }): boolean {
  try {
    changeCapabilities({ ...kept, ...AT_REST }, []);
    changeParameters({ ...kept, ...AT_REST }, {});
    return true;
  } catch (error) {
    if (error instanceof DomainError) return false;
    throw error;
  }
}

/** Capabilities for which a stored "off" differs from never having been set. */
const OFF_IS_KEPT: readonly Capability[] = ['return-path'];
/** Stored capabilities are a list of names; this mark is before the name of a capability that was switched off. */
export const OFF_MARK = '-';

/** The capabilities of OFF_IS_KEPT that are switched off after the change. */
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
 * The newest stored settings of a kind, unchanged; null: none.
 * @throws DomainError if the stored text has another form, because ignoring it would apply the defaults.
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

/** Characters of the stored text in an error message. */
const SHOWN_MAX = 40;
/** The shape of the stored text of each kind. */
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

/** Runs `work` on stored settings. @throws DomainError stored_settings_unreadable if `work` throws. */
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
