import { didYouMean } from '../../text/nearest.ts';
import { DomainError } from '../errors.ts';
import type { ParameterSet, ParameterValue, RuleSubject } from './declaration.ts';
import {
  CAPABILITIES_NOT_AVAILABLE,
  CAPABILITY_RULES,
  isCapability,
  isParameter,
  PARAMETER_RULES,
  PARAMETERS_NOT_AVAILABLE,
} from './declared-settings.ts';
import { checkParameterValue } from './parameter-value.ts';
import {
  CAPABILITIES,
  type Capability,
  type CapabilitySet,
  PARAMETER_NAMES,
  type ParameterName,
} from './schema-order.ts';
import { pointerTo, shown, Violations } from './violations.ts';

/*
 * The check of a change of settings. One pass finds all violations and reports them in one error. The caller keeps its
 * settings unless the check returns new ones. Availability is checked last: the rules apply to every version alike.
 */

/**
 * @param list the change; its entries may be of any shape.
 * @returns the capabilities after the change.
 * @throws DomainError with every violation.
 */
export function changeCapabilities(subject: RuleSubject, list: readonly unknown[]): CapabilitySet {
  const violations = new Violations();
  const changed = new Set(subject.capabilities);
  for (const [index, entry] of list.entries()) {
    const { capability, state } = membersOf(entry);
    if (typeof capability !== 'string' || !isCapability(capability)) {
      const hint = typeof capability === 'string' ? didYouMean(capability, CAPABILITIES) : '';
      const reason = `${shown(capability)} is not a capability.${hint}`;
      violations.add('unknown_capability', pointerTo('capabilities', index, 'capability'), reason);
    } else if (typeof state !== 'boolean') {
      const reason = `state is ${shown(state)}; it has to be true or false.`;
      violations.add('wrong_type', pointerTo('capabilities', index, 'state'), reason);
    } else if (state) changed.add(capability);
    else changed.delete(capability);
  }
  // A refused entry counts as unchanged here, so that the error also has the rules that the other entries break.
  checkCapabilityRules({ ...subject, capabilities: changed }, list, violations);
  violations.throwIfAny();
  return changed;
}

function checkCapabilityRules(subject: RuleSubject, list: readonly unknown[], violations: Violations): void {
  for (const rule of CAPABILITY_RULES) {
    if (!subject.capabilities.has(rule.capability) || !rule.breaks(subject)) continue;
    const code = rule.isConflict === true ? 'too_late_to_set' : 'incompatible_capabilities';
    violations.add(code, entryPointer(list, rule.capability, rule.other), rule.message);
  }
}

/** @returns a pointer to the last entry for the first of these capabilities that the change names. */
function entryPointer(list: readonly unknown[], ...names: readonly (Capability | undefined)[]): string {
  for (const name of names) {
    const index = list.findLastIndex((entry) => name !== undefined && membersOf(entry).capability === name);
    if (index >= 0) return pointerTo('capabilities', index, 'capability');
  }
  return pointerTo('capabilities');
}

function membersOf(entry: unknown): { readonly capability?: unknown; readonly state?: unknown } {
  return typeof entry === 'object' && entry !== null ? entry : {};
}

/**
 * @param change values by name; the values may be of any type.
 * @returns the parameters after the change.
 * @throws DomainError with every violation.
 */
export function changeParameters(subject: RuleSubject, change: Readonly<Record<string, unknown>>): ParameterSet {
  const violations = new Violations();
  const changed = new Map<ParameterName, ParameterValue>(subject.parameters);
  for (const [name, value] of Object.entries(change)) {
    if (!isParameter(name)) {
      const hint = didYouMean(name, PARAMETER_NAMES);
      violations.add('unknown_member', pointerTo(name), `${shown(name)} is not a migration parameter.${hint}`);
      continue;
    }
    const kept = checkParameterValue(name, value, violations);
    if (kept !== null) changed.set(name, kept);
  }
  // A refused value counts as unchanged here, so that the error also has the rules that the other values break.
  checkParameterRules({ ...subject, parameters: changed }, violations);
  violations.throwIfAny();
  return changed;
}

function checkParameterRules(subject: RuleSubject, violations: Violations): void {
  for (const rule of PARAMETER_RULES) {
    if (!rule.breaks(subject)) continue;
    const code = rule.isRange ? 'value_out_of_range' : 'incompatible_parameters';
    violations.add(code, pointerTo(rule.parameter), rule.message(subject));
  }
}

/**
 * @param list the change that led to `capabilities`, for the pointers of the error.
 * @throws DomainError that names every capability that is on and not supported by this version.
 */
export function refuseUnavailableCapabilities(capabilities: CapabilitySet, list: readonly unknown[]): void {
  const missing = CAPABILITIES_NOT_AVAILABLE.filter((name) => capabilities.has(name));
  if (missing.length === 0) return;
  throw new DomainError(
    'capability_not_available',
    missing.map((name) => `Capability '${name}' is not available in this version.`).join(' '),
    {
      violations: missing.map((name) => ({ pointer: entryPointer(list, name), reason: `'${name}' is not available` })),
    },
  );
}

/** @throws DomainError that names every parameter whose value this version does not support. */
export function refuseUnavailableParameters(parameters: ParameterSet): void {
  const missing = PARAMETERS_NOT_AVAILABLE.filter(
    ({ name, available }) => !available.includes(parameters.get(name) ?? ''),
  );
  if (missing.length === 0) return;
  throw new DomainError(
    'parameter_not_available',
    missing.map(({ name }) => `${name} '${String(parameters.get(name))}' is not available in this version.`).join(' '),
    {
      violations: missing.map(({ name, available }) => ({
        pointer: `/${name}`,
        reason: `only ${available.map((value) => `'${String(value)}'`).join(' or ')} is available in this version`,
      })),
    },
  );
}
