import { DomainError } from '../errors.ts';
import type { Capability, CapabilitySet } from './capabilities.ts';
import type { ParameterName, ParameterSet, ParameterValue } from './parameters.ts';
import { entryPointer } from './validate.ts';

/**
 * What passes QEMU's rules but what the engine does not do yet. These two lists are the only place that knows; a
 * feature that arrives is taken off here.
 */
export const CAPABILITIES_NOT_AVAILABLE: readonly Capability[] = [
  'xbzrle',
  'rdma-pin-all',
  'auto-converge',
  'postcopy-ram',
  'x-colo',
  'release-ram',
  'multifd',
  'dirty-bitmaps',
  'postcopy-blocktime',
  'x-ignore-shared',
  'background-snapshot',
  'zero-copy-send',
  'postcopy-preempt',
  'mapped-ram',
];

/** Values that a migration would have to read at its start, and that nothing reads yet; by the values that are done. */
export const PARAMETERS_NOT_AVAILABLE: readonly { readonly name: ParameterName; readonly only: ParameterValue[] }[] = [
  { name: 'tls-creds', only: [''] },
  { name: 'mode', only: ['normal'] },
  { name: 'direct-io', only: [false] },
];

/**
 * `list` is the change that led to the set, as it was given.
 * @throws DomainError naming every capability of the set that this version does not do.
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

/** @throws DomainError naming every parameter whose value this version does not do. */
export function refuseUnavailableParameters(parameters: ParameterSet): void {
  const missing = PARAMETERS_NOT_AVAILABLE.filter(({ name, only }) => !only.includes(parameters.get(name) ?? ''));
  if (missing.length === 0) return;
  throw new DomainError(
    'parameter_not_available',
    missing.map(({ name }) => `${name} '${String(parameters.get(name))}' is not available in this version.`).join(' '),
    {
      violations: missing.map(({ name, only }) => ({
        pointer: `/${name}`,
        reason: `only ${only.map((value) => `'${String(value)}'`).join(' or ')} is available in this version`,
      })),
    },
  );
}
