import type {
  CapabilityDeclaration,
  CapabilityRule,
  ParameterDeclaration,
  ParameterRule,
  ParameterValue,
} from './declaration.ts';
import { MODES } from './groups/modes-group.ts';
import { MULTIFD } from './groups/multifd-group.ts';
import { POSTCOPY } from './groups/postcopy-group.ts';
import { PRECOPY } from './groups/precopy-group.ts';
import { STORAGE } from './groups/storage-group.ts';
import { SWITCHOVER } from './groups/switchover-group.ts';
import { THROTTLE } from './groups/throttle-group.ts';
import { TLS } from './groups/tls-group.ts';
import { XBZRLE } from './groups/xbzrle-group.ts';
import { CAPABILITIES, type Capability, PARAMETER_NAMES, type ParameterName, RULE_ORDER } from './schema-order.ts';

/*
 * All groups together. The compiler refuses a name of schema-order.ts that no group declares, and a declaration that
 * schema-order.ts does not name.
 */

export const PARAMETERS = {
  ...PRECOPY.parameters,
  ...SWITCHOVER.parameters,
  ...THROTTLE.parameters,
  ...MULTIFD.parameters,
  ...XBZRLE.parameters,
  ...STORAGE.parameters,
  ...TLS.parameters,
  ...POSTCOPY.parameters,
  ...MODES.parameters,
} as const satisfies Readonly<Record<ParameterName, ParameterDeclaration>>;

const CAPABILITY_DECLARATIONS: Readonly<Record<Capability, CapabilityDeclaration>> = {
  ...PRECOPY.capabilities,
  ...SWITCHOVER.capabilities,
  ...THROTTLE.capabilities,
  ...MULTIFD.capabilities,
  ...XBZRLE.capabilities,
  ...STORAGE.capabilities,
  ...TLS.capabilities,
  ...POSTCOPY.capabilities,
  ...MODES.capabilities,
};

/** The declaration of a parameter. */
export function parameterDeclaration(name: ParameterName): ParameterDeclaration {
  return PARAMETERS[name];
}

/** The declaration of a capability. */
export function capabilityDeclaration(name: Capability): CapabilityDeclaration {
  return CAPABILITY_DECLARATIONS[name];
}

/** True if `name` is a capability. */
export function isCapability(name: string): name is Capability {
  return Object.hasOwn(CAPABILITY_DECLARATIONS, name);
}

/** True if `name` is a parameter. */
export function isParameter(name: string): name is ParameterName {
  return Object.hasOwn(PARAMETERS, name);
}

/** The values of a machine on which nothing was ever set. */
export function defaultParameters(): Map<ParameterName, ParameterValue> {
  const values = new Map<ParameterName, ParameterValue>();
  for (const name of PARAMETER_NAMES) {
    const initial: ParameterValue | null = parameterDeclaration(name).default;
    if (initial !== null) values.set(name, initial);
  }
  return values;
}

/** The rules of all capabilities, in the order in which broken rules are reported. */
export const CAPABILITY_RULES: readonly CapabilityRule[] = [
  ...RULE_ORDER,
  ...CAPABILITIES.filter((name) => !RULE_ORDER.includes(name)),
].flatMap((name) => capabilityDeclaration(name).rules ?? []);

/** The rules of all parameters, in the order in which broken rules are reported. */
export const PARAMETER_RULES: readonly ParameterRule[] = PARAMETER_NAMES.flatMap(
  (name) => parameterDeclaration(name).rules ?? [],
);

/** The capabilities that this version refuses to switch on. */
export const CAPABILITIES_NOT_AVAILABLE: readonly Capability[] = CAPABILITIES.filter(
  (name) => !capabilityDeclaration(name).isAvailable,
);

/** The parameters of which this version can use only some values. */
export const PARAMETERS_NOT_AVAILABLE: readonly {
  readonly name: ParameterName;
  readonly available: readonly ParameterValue[];
}[] = PARAMETER_NAMES.flatMap((name) => {
  const { available } = parameterDeclaration(name);
  return available === undefined ? [] : [{ name, available }];
});
