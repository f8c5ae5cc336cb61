/*
 * The names of all settings, in the orders in which QEMU 10.0 lists them. A new name is added to the list of the schema
 * and, where the text monitor prints it, to the list of the monitor. Everything else about it is in its group.
 */

/** Every capability, in the order of the schema. */
export const CAPABILITIES = [
  'xbzrle',
  'rdma-pin-all',
  'auto-converge',
  'zero-blocks',
  'events',
  'postcopy-ram',
  'x-colo',
  'release-ram',
  'return-path',
  'pause-before-switchover',
  'multifd',
  'dirty-bitmaps',
  'postcopy-blocktime',
  'late-block-activate',
  'x-ignore-shared',
  'validate-uuid',
  'background-snapshot',
  'zero-copy-send',
  'postcopy-preempt',
  'switchover-ack',
  'dirty-limit',
  'mapped-ram',
] as const;

export type Capability = (typeof CAPABILITIES)[number];

/** The capabilities that are on. All are off by default. */
export type CapabilitySet = ReadonlySet<Capability>;

/** Every parameter, in the order of the schema. */
export const PARAMETER_NAMES = [
  'announce-initial',
  'announce-max',
  'announce-rounds',
  'announce-step',
  'throttle-trigger-threshold',
  'cpu-throttle-initial',
  'cpu-throttle-increment',
  'cpu-throttle-tailslow',
  'tls-creds',
  'tls-hostname',
  'tls-authz',
  'max-bandwidth',
  'avail-switchover-bandwidth',
  'downtime-limit',
  'x-checkpoint-delay',
  'multifd-channels',
  'xbzrle-cache-size',
  'max-postcopy-bandwidth',
  'max-cpu-throttle',
  'multifd-compression',
  'multifd-zlib-level',
  'multifd-qatzip-level',
  'multifd-zstd-level',
  'block-bitmap-mapping',
  'x-vcpu-dirty-limit-period',
  'vcpu-dirty-limit',
  'mode',
  'zero-page-detection',
  'direct-io',
] as const;

export type ParameterName = (typeof PARAMETER_NAMES)[number];

/** The parameters that `info migrate_parameters` prints, in its order. QEMU does not print the compression levels. */
export const MONITOR_PARAMETERS: readonly ParameterName[] = [
  'announce-initial',
  'announce-max',
  'announce-rounds',
  'announce-step',
  'throttle-trigger-threshold',
  'cpu-throttle-initial',
  'cpu-throttle-increment',
  'cpu-throttle-tailslow',
  'max-cpu-throttle',
  'tls-creds',
  'tls-hostname',
  'max-bandwidth',
  'avail-switchover-bandwidth',
  'downtime-limit',
  'x-checkpoint-delay',
  'multifd-channels',
  'multifd-compression',
  'zero-page-detection',
  'xbzrle-cache-size',
  'max-postcopy-bandwidth',
  'tls-authz',
  'block-bitmap-mapping',
  'x-vcpu-dirty-limit-period',
  'vcpu-dirty-limit',
  'mode',
  'direct-io',
];

/**
 * The capabilities that declare rules, in the order in which broken rules are reported: clients see this order in the
 * violations of an error. A capability that is not listed comes last.
 */
export const RULE_ORDER: readonly Capability[] = [
  'postcopy-ram',
  'background-snapshot',
  'zero-copy-send',
  'postcopy-preempt',
  'multifd',
  'switchover-ack',
  'dirty-limit',
  'xbzrle',
  'mapped-ram',
];
