/*
 * The names of all settings and figures, in the orders in which QEMU 10.0 lists them. A new name is added to the list
 * of the schema and, if the text monitor prints it, to the list of the monitor. Its other properties are in its group.
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

/** Every member of `ram` in query-migrate, in the order of the schema. */
export const RAM_FIGURES = [
  'transferred',
  'remaining',
  'total',
  'duplicate',
  'normal',
  'normal-bytes',
  'dirty-pages-rate',
  'mbps',
  'dirty-sync-count',
  'postcopy-requests',
  'page-size',
  'multifd-bytes',
  'pages-per-second',
  'precopy-bytes',
  'downtime-bytes',
  'postcopy-bytes',
  'dirty-sync-missed-zero-copy',
] as const;

/** Every member of `xbzrle-cache` in query-migrate, in the order of the schema. */
export const CACHE_FIGURES = [
  'cache-size',
  'bytes',
  'pages',
  'cache-miss',
  'cache-miss-rate',
  'encoding-rate',
  'overflow',
] as const;

/** Every member of query-migrate, in the order of the schema. */
export const INFO_MEMBERS = [
  'status',
  'ram',
  'vfio',
  'xbzrle-cache',
  'total-time',
  'expected-downtime',
  'downtime',
  'setup-time',
  'cpu-throttle-percentage',
  'error-desc',
  'blocked-reasons',
  'postcopy-blocktime',
  'postcopy-vcpu-blocktime',
  'socket-address',
  'dirty-limit-throttle-time-per-round',
  'dirty-limit-ring-full-time',
] as const;

/** The members of query-migrate that are not figures of a group. */
const OTHER_MEMBERS = [
  'status',
  'ram',
  'vfio',
  'xbzrle-cache',
  'error-desc',
  'blocked-reasons',
  'postcopy-blocktime',
  'postcopy-vcpu-blocktime',
  'socket-address',
] as const;

/** The times of a migration, in the order of the answer: they come before `ram`. */
export const TIME_FIGURES = ['setup-time', 'total-time', 'downtime', 'expected-downtime'] as const;

export type RamFigure = (typeof RAM_FIGURES)[number];
export type CacheFigure = (typeof CACHE_FIGURES)[number];
export type TimeFigure = (typeof TIME_FIGURES)[number];
export type InfoFigure = Exclude<(typeof INFO_MEMBERS)[number], (typeof OTHER_MEMBERS)[number]>;
export type FigureName = RamFigure | CacheFigure | InfoFigure;

/** The other figures among the members of query-migrate, in the order of the answer: they come after `ram`. */
export const INFO_FIGURES: readonly Exclude<InfoFigure, TimeFigure>[] = INFO_MEMBERS.filter(
  (name) => !includes(OTHER_MEMBERS, name) && !includes(TIME_FIGURES, name),
);

function includes<N extends string>(names: readonly N[], name: string): name is N {
  return (names as readonly string[]).includes(name);
}

/** The figures that `info migrate` prints, in its order. */
export const MONITOR_FIGURES: readonly FigureName[] = [
  'total-time',
  'expected-downtime',
  'downtime',
  'setup-time',
  'transferred',
  'mbps',
  'remaining',
  'total',
  'duplicate',
  'normal',
  'normal-bytes',
  'dirty-sync-count',
  'page-size',
  'multifd-bytes',
  'pages-per-second',
  'dirty-pages-rate',
  'postcopy-requests',
  'precopy-bytes',
  'downtime-bytes',
  'postcopy-bytes',
  'dirty-sync-missed-zero-copy',
  ...CACHE_FIGURES,
  'cpu-throttle-percentage',
  'dirty-limit-throttle-time-per-round',
  'dirty-limit-ring-full-time',
];
