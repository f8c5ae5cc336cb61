import { didYouMean } from '../../text/nearest.ts';
import { CAPABILITIES, type Capability, type CapabilitySet, isCapability } from './capabilities.ts';
import { checkParameterValue } from './parameter-value.ts';
import { isParameter, PARAMETERS, type ParameterName, type ParameterSet, type ParameterValue } from './parameters.ts';
import { CAPABILITY_RULES, PARAMETER_RULES, type RuleSubject } from './rules.ts';
import { pointerTo, shown, Violations } from './violations.ts';

/*
 * One pass over a change: everything that is wrong with it is found and told at once, and nothing is kept of a change
 * that was refused.
 */

/**
 * The capabilities as they would be after the change, whose entries may be of any shape.
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
  // Rules see a refused entry as unchanged; they still tell what else would be wrong.
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

/** Points at the last entry of a change that names one of the capabilities, the first of them that any entry names. */
export function entryPointer(list: readonly unknown[], ...names: readonly (Capability | undefined)[]): string {
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
 * The parameters as they would be after the change.
 * @throws DomainError with every violation.
 */
export function changeParameters(subject: RuleSubject, change: Readonly<Record<string, unknown>>): ParameterSet {
  const violations = new Violations();
  const changed = new Map<ParameterName, ParameterValue>(subject.parameters);
  for (const [name, value] of Object.entries(change)) {
    if (!isParameter(name)) {
      const hint = didYouMean(name, Object.keys(PARAMETERS));
      violations.add('unknown_member', pointerTo(name), `${shown(name)} is not a migration parameter.${hint}`);
      continue;
    }
    const kept = checkParameterValue(name, value, violations);
    if (kept !== null) changed.set(name, kept);
  }
  // Rules see a refused value as unchanged; they still tell what else would be wrong.
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
