import type { AnnounceSchedule } from '../announce/announcer.ts';
import { DomainError } from '../errors.ts';
import { type ExactJson, writeExactJson } from '../exact-json.ts';
import type { SettingsKind, Store } from '../ports/store.ts';
import { withReserve } from '../store-reserve.ts';
import type { ParameterSet, RuleSubject } from './declaration.ts';
import {
  type CapabilityStatus,
  isParameter,
  LIVE_PARAMETERS,
  type LiveParameter,
  type LiveParameters,
  type MigrationParameters,
} from './declared-settings.ts';
import { parseParameterText } from './parameter-value.ts';
import {
  CAPABILITIES,
  type Capability,
  type CapabilitySet,
  PARAMETER_NAMES,
  type ParameterName,
} from './schema-order.ts';
import {
  changeCapabilities,
  changeParameters,
  refuseUnavailableCapabilities,
  refuseUnavailableParameters,
} from './settings-checks.ts';
import { loadCapabilities, loadParameters, OFF_MARK, passesRules, switchedOffAfter } from './stored-settings.ts';

/** Settings of the command line, for one start: texts of values by the parameter's name, and capabilities to switch on. */
export type SettingsOverrides = {
  readonly parameters: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
};

/** State of the machine that rules depend on. */
export type SettingsContext = {
  /** True once a listener for an incoming migration has been started. */
  readonly isIncomingStarted: () => boolean;
  readonly hasDirtyRing: () => boolean;
};

/**
 * The capabilities and parameters of a machine. Each change is stored as a new version. An override of the command line
 * hides the stored value and is not stored; a change of the same setting ends the override.
 */
export class Settings {
  readonly #store: Store;
  readonly #versions: Record<SettingsKind, number>;
  readonly #circumstances: SettingsContext;
  #kept: { capabilities: CapabilitySet; parameters: ParameterSet };
  #capabilities: CapabilitySet;
  /** Capabilities of OFF_IS_KEPT that were switched off, which differs from never having been set. */
  #switchedOff: CapabilitySet;
  #parameters: ParameterSet;
  readonly #overridden: { capabilities: Set<string>; parameters: Set<string> };

  /** @throws DomainError if stored settings cannot be read, or a rule refuses an override. */
  constructor(store: Store, overrides: SettingsOverrides, circumstances: SettingsContext) {
    this.#store = store;
    this.#versions = {
      capabilities: store.settings.load('capabilities')?.version ?? 0,
      parameters: store.settings.load('parameters')?.version ?? 0,
    };
    this.#circumstances = circumstances;
    const hasDirtyRing = circumstances.hasDirtyRing();
    const stored = loadCapabilities(store, hasDirtyRing);
    this.#kept = { capabilities: stored.on, parameters: loadParameters(store) };
    this.#switchedOff = stored.switchedOff;
    const kept = { ...this.#kept, incomingStarted: false, hasDirtyRing };
    const switchedOn = overrides.capabilities.map((capability) => ({ capability, state: true }));
    const given = Object.entries(overrides.parameters);
    const values = given.map(([name, text]) => [name, isParameter(name) ? parseParameterText(name, text) : text]);
    this.#parameters = changeParameters(kept, Object.fromEntries(values) as Record<string, unknown>);
    this.#capabilities = changeCapabilities({ ...kept, parameters: this.#parameters }, switchedOn);
    refuseUnavailableCapabilities(this.#capabilities, switchedOn);
    refuseUnavailableParameters(this.#parameters);
    this.#overridden = {
      capabilities: new Set(overrides.capabilities),
      parameters: new Set(Object.keys(overrides.parameters)),
    };
  }

  has(capability: Capability): boolean {
    return this.#capabilities.has(capability);
  }

  /**
   * True if an outgoing migration opens the return path where its channel has a reverse direction: always, unless the
   * capability was switched off. Without the return path the source cannot learn whether the target loaded the guest.
   */
  opensReturnPath(): boolean {
    return this.has('return-path') || !this.#switchedOff.has('return-path');
  }

  /** Names of the capabilities that are on, in QEMU's order. */
  enabled(): readonly Capability[] {
    return CAPABILITIES.filter((capability) => this.has(capability));
  }

  capabilities(): readonly CapabilityStatus[] {
    return CAPABILITIES.map((capability) => ({ capability, state: this.has(capability) }));
  }

  parameters(): MigrationParameters {
    const members: Record<string, MigrationParameters[string]> = {};
    for (const name of PARAMETER_NAMES) {
      const value = this.#parameters.get(name);
      if (value !== undefined) members[name] = value;
    }
    return members;
  }

  live(): LiveParameters {
    const value = (name: LiveParameter) => {
      const kept = this.#parameters.get(name);
      return typeof kept === 'boolean' ? kept : this.#clamped(name);
    };
    return Object.fromEntries(LIVE_PARAMETERS.map((name) => [name, value(name)])) as LiveParameters;
  }

  /** The schedule of the announcement after an incoming migration. */
  announce(): AnnounceSchedule {
    const part = (name: ParameterName) => this.#parameters.get(name) as number | bigint;
    return {
      initial: part('announce-initial'),
      max: part('announce-max'),
      rounds: part('announce-rounds'),
      step: part('announce-step'),
    };
  }

  /** MiB/s for each vCPU with the capability dirty-limit. */
  vcpuDirtyLimit(): number | bigint {
    return this.#parameters.get('vcpu-dirty-limit') as number | bigint;
  }

  /** False with zero-page-detection `none`. */
  detectsZeroPages(): boolean {
    return this.#parameters.get('zero-page-detection') !== 'none';
  }

  /** All capabilities that are on and all parameters as exact JSON text, for the history. */
  toJson(): string {
    return writeExactJson({
      capabilities: [...this.enabled()],
      parameters: this.parameters() as Record<string, ExactJson>,
    });
  }

  version(kind: SettingsKind): number {
    return this.#versions[kind];
  }

  /** @throws DomainError if a rule or the not-available list refuses, or `expectedVersion` is not the newest. */
  setCapabilities(list: readonly CapabilityStatus[], now: number, expectedVersion?: number): void {
    this.#refuseStale('capabilities', expectedVersion);
    const changed = this.checkCapabilities(list);
    const named = new Set(list.map(({ capability }) => capability));
    let overridden = difference(this.#overridden.capabilities, named);
    let kept: CapabilitySet = new Set(
      CAPABILITIES.filter((name) => (overridden.has(name) ? this.#kept.capabilities : changed).has(name)),
    );
    // If a stored setting passes the rules only with an override, the override is stored too.
    if (!passesRules({ ...this.#kept, capabilities: kept })) [kept, overridden] = [changed, new Set<string>()];
    const switchedOff = switchedOffAfter(this.#switchedOff, list);
    this.#save('capabilities', writeExactJson([...kept, ...[...switchedOff].map((name) => OFF_MARK + name)]), now);
    this.#switchedOff = switchedOff;
    this.#kept = { ...this.#kept, capabilities: kept };
    this.#capabilities = changed;
    this.#overridden.capabilities = overridden;
  }

  /** @throws DomainError if a rule or the not-available list refuses, or `expectedVersion` is not the newest. */
  setParameters(change: Readonly<Record<string, unknown>>, now: number, expectedVersion?: number): void {
    this.#refuseStale('parameters', expectedVersion);
    const changed = this.checkParameters(change);
    let overridden = difference(this.#overridden.parameters, new Set(Object.keys(change)));
    let kept: ParameterSet = new Map(
      [...changed].flatMap(([name, value]) => {
        const source = overridden.has(name) ? this.#kept.parameters.get(name) : value;
        return source === undefined ? [] : [[name, source] as const];
      }),
    );
    if (!passesRules({ ...this.#kept, parameters: kept })) [kept, overridden] = [changed, new Set<string>()];
    this.#save('parameters', writeExactJson(Object.fromEntries(kept) as Record<string, ExactJson>), now);
    this.#kept = { ...this.#kept, parameters: kept };
    this.#parameters = changed;
    this.#overridden.parameters = overridden;
  }

  /** @returns the capabilities after the change, whose entries may be of any shape. @throws DomainError as `setCapabilities`. */
  checkCapabilities(list: readonly unknown[]): CapabilitySet {
    const changed = changeCapabilities(this.#subject(), list);
    refuseUnavailableCapabilities(changed, list);
    return changed;
  }

  /** @returns the parameters after the change, whose values may be of any type. @throws DomainError as `setParameters`. */
  checkParameters(change: Readonly<Record<string, unknown>>): ParameterSet {
    const changed = changeParameters(this.#subject(), change);
    refuseUnavailableParameters(changed);
    return changed;
  }

  #subject(): RuleSubject {
    return {
      capabilities: this.#capabilities,
      parameters: this.#parameters,
      incomingStarted: this.#circumstances.isIncomingStarted(),
      hasDirtyRing: this.#circumstances.hasDirtyRing(),
    };
  }

  #refuseStale(kind: SettingsKind, expectedVersion: number | undefined): void {
    const newest = this.version(kind);
    if (expectedVersion === undefined || expectedVersion === newest) return;
    throw new DomainError('settings_changed', `The ${kind} are at version ${newest}, not ${expectedVersion}.`);
  }

  #save(kind: SettingsKind, json: string, now: number): void {
    const expected = this.#versions[kind];
    const save = () => this.#store.settings.save(kind, expected, { json, changedAt: now });
    const detail = `The ${kind} are no longer at version ${expected}.`;
    if (!withReserve(this.#store, save)) throw new DomainError('settings_changed', detail);
    this.#versions[kind] = expected + 1;
  }

  #clamped(name: ParameterName): number {
    const value = BigInt(this.#parameters.get(name) as number | bigint);
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
  }
}

function difference(names: ReadonlySet<string>, without: ReadonlySet<string>): Set<string> {
  return new Set([...names].filter((name) => !without.has(name)));
}
