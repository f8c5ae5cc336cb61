/** A value of a parameter. Integers are numbers below 2^53 and bigints above; one value never has both forms. */
export type ParameterValue = number | bigint | string | boolean | readonly BitmapNodeAlias[];

/** BitmapMigrationNodeAlias of the QAPI schema. */
export type BitmapNodeAlias = {
  readonly 'node-name': string;
  readonly alias: string;
  readonly bitmaps: readonly BitmapAlias[];
};

/** BitmapMigrationBitmapAlias of the QAPI schema. */
export type BitmapAlias = {
  readonly name: string;
  readonly alias: string;
  readonly transform?: { readonly persistent?: boolean };
};

type IntegerParameter = {
  readonly type: 'uint8' | 'uint32' | 'uint64' | 'size';
  readonly default: number;
  readonly min: bigint;
  readonly max: bigint;
  readonly unit: string | null;
};

/** What a parameter may be. */
export type ParameterDefinition =
  | IntegerParameter
  | { readonly type: 'bool'; readonly default: boolean }
  /** A string; null means the empty one. */
  | { readonly type: 'string-or-null'; readonly default: string }
  | { readonly type: 'enum'; readonly default: string; readonly values: readonly string[] }
  /** block-bitmap-mapping: absent until it is set. */
  | { readonly type: 'bitmap-mapping'; readonly default: null };

const UINT8_MAX = 255n;
const UINT32_MAX = 2n ** 32n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;

/** Longest downtime that may be asked for, in milliseconds. */
const DOWNTIME_LIMIT_MS_MAX = 2_000_000n;

function uint8(initial: number, min: bigint, max = UINT8_MAX, unit: string | null = null): IntegerParameter {
  return { type: 'uint8', default: initial, min, max, unit };
}

function uint64(initial: number, range: { min?: bigint; max?: bigint; unit: string | null }): IntegerParameter {
  return { type: 'uint64', default: initial, min: range.min ?? 0n, max: range.max ?? UINT64_MAX, unit: range.unit };
}

function size(initial: number, range: { min?: bigint; max?: bigint; unit: string | null }): IntegerParameter {
  return { ...uint64(initial, range), type: 'size' };
}

/**
 * Every parameter of QEMU 10.0 in the order of its schema. Ranges that depend on another value are rules
 * (parameter-rules.ts); those that are only a power of two are there, too.
 */
export const PARAMETERS = {
  'announce-initial': size(50, { max: 100_000n, unit: 'ms' }),
  'announce-max': size(550, { max: 100_000n, unit: 'ms' }),
  'announce-rounds': size(5, { max: 1000n, unit: null }),
  'announce-step': size(100, { min: 1n, max: 10_000n, unit: 'ms' }),
  'throttle-trigger-threshold': uint8(50, 1n, 100n, '%'),
  'cpu-throttle-initial': uint8(20, 1n, 99n, '%'),
  'cpu-throttle-increment': uint8(10, 1n, 99n, '%'),
  'cpu-throttle-tailslow': { type: 'bool', default: false },
  'tls-creds': { type: 'string-or-null', default: '' },
  'tls-hostname': { type: 'string-or-null', default: '' },
  'tls-authz': { type: 'string-or-null', default: '' },
  'max-bandwidth': size(128 * 1024 * 1024, { unit: 'bytes/s' }),
  'avail-switchover-bandwidth': size(0, { unit: 'bytes/s' }),
  'downtime-limit': uint64(300, { max: DOWNTIME_LIMIT_MS_MAX, unit: 'ms' }),
  'x-checkpoint-delay': { type: 'uint32', default: 20_000, min: 0n, max: UINT32_MAX, unit: 'ms' },
  'multifd-channels': uint8(2, 1n),
  'xbzrle-cache-size': size(64 * 1024 * 1024, { unit: 'bytes' }),
  'max-postcopy-bandwidth': size(0, { unit: 'bytes/s' }),
  'max-cpu-throttle': uint8(99, 0n, 99n, '%'),
  'multifd-compression': { type: 'enum', default: 'none', values: ['none', 'zlib', 'zstd'] },
  'multifd-zlib-level': uint8(1, 0n, 9n),
  'multifd-qatzip-level': uint8(1, 1n, 9n),
  'multifd-zstd-level': uint8(1, 0n, 20n),
  'block-bitmap-mapping': { type: 'bitmap-mapping', default: null },
  'x-vcpu-dirty-limit-period': uint64(1000, { min: 1n, max: 1000n, unit: 'ms' }),
  'vcpu-dirty-limit': uint64(1, { min: 1n, unit: 'MB/s' }),
  mode: { type: 'enum', default: 'normal', values: ['normal', 'cpr-reboot', 'cpr-transfer'] },
  'zero-page-detection': { type: 'enum', default: 'multifd', values: ['none', 'legacy', 'multifd'] },
  'direct-io': { type: 'bool', default: false },
} as const satisfies Readonly<Record<string, ParameterDefinition>>;

export type ParameterName = keyof typeof PARAMETERS;

export const PARAMETER_NAMES = Object.keys(PARAMETERS) as ParameterName[];

/** Values by name. `block-bitmap-mapping` is absent until it has been set. */
export type ParameterSet = ReadonlyMap<ParameterName, ParameterValue>;

/** True if `name` is a parameter. */
export function isParameter(name: string): name is ParameterName {
  return Object.hasOwn(PARAMETERS, name);
}

/** The values of a machine on which nothing was ever set. */
export function defaultParameters(): Map<ParameterName, ParameterValue> {
  const values = new Map<ParameterName, ParameterValue>();
  for (const name of PARAMETER_NAMES) {
    const initial: ParameterValue | null = PARAMETERS[name].default;
    if (initial !== null) values.set(name, initial);
  }
  return values;
}
