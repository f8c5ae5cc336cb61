import type { Capability, CapabilitySet } from './capabilities.ts';
import type { ParameterName, ParameterSet } from './parameters.ts';

/*
 * Which settings go together: one entry per rule, checked against the settings as they would be after the change.
 */

/** Settings as they would be after a change. */
export type RuleSubject = {
  readonly capabilities: CapabilitySet;
  readonly parameters: ParameterSet;
  /** True once a listener for an incoming migration has been started. */
  readonly incomingStarted: boolean;
  /** True for a machine with a dirty ring. */
  readonly hasDirtyRing: boolean;
};

export type CapabilityRule = {
  readonly name: string;
  /** The capability that must not be on when `breaks` says so. */
  readonly capability: Capability;
  /** The one that it does not go with, or needs. */
  readonly other?: Capability;
  readonly breaks: (subject: RuleSubject) => boolean;
  readonly message: string;
  /** True where the time is wrong rather than the combination. */
  readonly isConflict?: boolean;
};

const BACKGROUND_SNAPSHOT_EXCLUDES: readonly Capability[] = [
  'postcopy-ram',
  'dirty-bitmaps',
  'postcopy-blocktime',
  'late-block-activate',
  'return-path',
  'multifd',
  'pause-before-switchover',
  'auto-converge',
  'release-ram',
  'rdma-pin-all',
  'xbzrle',
  'x-colo',
  'validate-uuid',
  'zero-copy-send',
];

function excludes(capability: Capability, other: Capability): CapabilityRule {
  return {
    name: `${capability} excludes ${other}`,
    capability,
    other,
    breaks: ({ capabilities }) => capabilities.has(other),
    message: `Capability '${capability}' cannot be on together with '${other}'.`,
  };
}

function requires(capability: Capability, other: Capability): CapabilityRule {
  return {
    name: `${capability} requires ${other}`,
    capability,
    other,
    breaks: ({ capabilities }) => !capabilities.has(other),
    message: `Capability '${capability}' needs '${other}' to be on.`,
  };
}

function beforeIncoming(capability: Capability): CapabilityRule {
  return {
    name: `${capability} is set before an incoming migration starts`,
    capability,
    breaks: ({ incomingStarted }) => incomingStarted,
    message: `Capability '${capability}' must be set before an incoming migration starts.`,
    isConflict: true,
  };
}

function isCompressedOrEncrypted({ parameters }: RuleSubject): boolean {
  return parameters.get('multifd-compression') !== 'none' || parameters.get('tls-creds') !== '';
}

export const CAPABILITY_RULES: readonly CapabilityRule[] = [
  excludes('postcopy-ram', 'x-ignore-shared'),
  excludes('postcopy-ram', 'multifd'),
  ...BACKGROUND_SNAPSHOT_EXCLUDES.map((other) => excludes('background-snapshot', other)),
  requires('zero-copy-send', 'multifd'),
  excludes('zero-copy-send', 'xbzrle'),
  {
    name: 'zero-copy-send needs plain channels',
    capability: 'zero-copy-send',
    breaks: isCompressedOrEncrypted,
    message: "Capability 'zero-copy-send' works only without multifd-compression and without tls-creds.",
  },
  requires('postcopy-preempt', 'postcopy-ram'),
  beforeIncoming('postcopy-preempt'),
  beforeIncoming('multifd'),
  requires('switchover-ack', 'return-path'),
  excludes('dirty-limit', 'auto-converge'),
  {
    name: 'dirty-limit needs a dirty ring',
    capability: 'dirty-limit',
    breaks: ({ hasDirtyRing }) => !hasDirtyRing,
    message: "Capability 'dirty-limit' needs a machine with a dirty ring (--dirty-ring-size).",
  },
  excludes('multifd', 'xbzrle'),
  excludes('mapped-ram', 'xbzrle'),
  excludes('mapped-ram', 'postcopy-ram'),
];

export type ParameterRule = {
  readonly name: string;
  readonly parameter: ParameterName;
  readonly breaks: (subject: RuleSubject) => boolean;
  readonly message: (subject: RuleSubject) => string;
  /** True where the value alone is outside its range, false where two settings contradict each other. */
  readonly isRange: boolean;
};

/** Size of a guest page, the least that an xbzrle cache may hold. */
const TARGET_PAGE_BYTES = 4096n;

export const PARAMETER_RULES: readonly ParameterRule[] = [
  {
    name: 'xbzrle-cache-size is a power of two that holds a page',
    parameter: 'xbzrle-cache-size',
    breaks: ({ parameters }) => !isPowerOfTwo(integer(parameters, 'xbzrle-cache-size')),
    message: ({ parameters }) =>
      `xbzrle-cache-size ${integer(parameters, 'xbzrle-cache-size')} is not a power of two of at least ` +
      `${TARGET_PAGE_BYTES} bytes.`,
    isRange: true,
  },
  {
    name: 'max-cpu-throttle is not below cpu-throttle-initial',
    parameter: 'max-cpu-throttle',
    breaks: ({ parameters }) => integer(parameters, 'max-cpu-throttle') < integer(parameters, 'cpu-throttle-initial'),
    message: ({ parameters }) =>
      `max-cpu-throttle ${integer(parameters, 'max-cpu-throttle')} is below cpu-throttle-initial ` +
      `${integer(parameters, 'cpu-throttle-initial')}; it may be that up to 99.`,
    isRange: true,
  },
  {
    name: 'zero-copy-send needs plain channels',
    parameter: 'multifd-compression',
    breaks: (subject) => subject.capabilities.has('zero-copy-send') && isCompressedOrEncrypted(subject),
    message: () => "multifd-compression and tls-creds cannot be set while capability 'zero-copy-send' is on.",
    isRange: false,
  },
  {
    name: 'mapped-ram needs plain channels',
    parameter: 'multifd-compression',
    breaks: (subject) => subject.capabilities.has('mapped-ram') && isCompressedOrEncrypted(subject),
    message: () => "multifd-compression and tls-creds cannot be set while capability 'mapped-ram' is on.",
    isRange: false,
  },
];

function integer(parameters: ParameterSet, name: ParameterName): bigint {
  return BigInt(parameters.get(name) as number | bigint);
}

function isPowerOfTwo(value: bigint): boolean {
  return value >= TARGET_PAGE_BYTES && (value & (value - 1n)) === 0n;
}
