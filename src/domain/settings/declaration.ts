import type { Capability, CapabilitySet, FigureName, ParameterName } from './schema-order.ts';

/*
 * The terms in which a group of settings is declared. A group is one file in groups/; declared-settings.ts collects all
 * groups, and the QMP schema, the OpenAPI document, the text monitor, the command line and the checks read them there.
 */

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

/** Values by name. `block-bitmap-mapping` is absent until it has been set. */
export type ParameterSet = ReadonlyMap<ParameterName, ParameterValue>;

/** Marks of the QAPI schema. */
export type Feature = 'deprecated' | 'unstable';

/** Members that a parameter of any type may have. */
type CommonDeclaration = {
  /** Text of the OpenAPI document; without it the text is made from the unit. */
  readonly description?: string;
  readonly features?: readonly Feature[];
  /** The values that this version can use; a value that is not listed is refused. Absent: every value. */
  readonly available?: readonly ParameterValue[];
  /** Rules between this parameter and other settings. */
  readonly rules?: readonly ParameterRule[];
  /** True if a running migration applies a change: the value is in a cell that the engine's workers read. */
  readonly isLive?: boolean;
};

export type IntegerDeclaration = CommonDeclaration & {
  readonly type: 'uint8' | 'uint32' | 'uint64' | 'size';
  readonly default: number;
  readonly min: bigint;
  readonly max: bigint;
  readonly unit: string | null;
  /** The unit that `info migrate_parameters` prints; absent: `unit`. */
  readonly monitorUnit?: string | null;
  /** True if `migrate_set_parameter` reads a number without a suffix as MiB. */
  readonly isInMebibytes?: boolean;
  /** Largest value that `migrate_set_parameter` accepts, as in QEMU; absent: 64 bits. */
  readonly monitorMax?: bigint;
};

/** The declaration of a parameter. */
export type ParameterDeclaration =
  | IntegerDeclaration
  | (CommonDeclaration & { readonly type: 'bool'; readonly default: boolean })
  /** A string; null means the empty string. */
  | (CommonDeclaration & { readonly type: 'string-or-null'; readonly default: string })
  | (CommonDeclaration & {
      readonly type: 'enum';
      /** Name of the type in the QAPI schema. */
      readonly typeName: string;
      readonly default: string;
      readonly values: readonly string[];
    })
  /** block-bitmap-mapping: absent until it is set. */
  | (CommonDeclaration & { readonly type: 'bitmap-mapping'; readonly default: null });

/** The declaration of a capability. */
export type CapabilityDeclaration = {
  /** False if this version does not support it: switching it on is refused with `capability_not_available`. */
  readonly isAvailable: boolean;
  readonly features?: readonly Feature[];
  readonly rules?: readonly CapabilityRule[];
};

/** Times of a migration, in milliseconds. The engine computes them from its clock when figures are read. */
export type MigrationTime = 'setupTimeMs' | 'totalTimeMs' | 'downtimeMs';

/** The origin of a figure's value. */
export type FigureSource<Cell extends string = string> =
  /** A cell in shared memory, written by a worker of the engine; `factor` (1 if absent) times its value. */
  | { readonly cell: Cell; readonly factor?: number }
  | { readonly time: MigrationTime }
  /** The limits of vCPUs that the capability dirty-limit sets; absent while there are none. */
  | { readonly dirtyLimit: 'perRoundUs' | 'ringFullUs' }
  | { readonly constant: number };

/** A figure of query-migrate: a member of MigrationInfo, or of one of the objects in it. */
export type FigureDeclaration<Cell extends string = string> = FigureSource<Cell> & {
  readonly in: 'info' | 'ram' | 'xbzrle-cache';
  /** Text of the OpenAPI document. */
  readonly description?: string;
  /** True if the value has decimal places; its cell holds thousandths. */
  readonly isFraction?: boolean;
  /** Shown only before the guest runs at the target, or only afterwards; absent: always. */
  readonly shown?: 'before-handover' | 'after-handover';
  /** Value of a completed migration; absent: unchanged. */
  readonly onceCompleted?: 'zero' | 'absent';
  /** Absent from the answer while it is 0. */
  readonly isAbsentAtZero?: boolean;
  /** A line of `info migrate`; the unit kbytes prints bytes / 1024. */
  readonly monitor: { readonly label: string; readonly unit?: string; readonly isHiddenAtZero?: boolean };
};

/** The settings and the figures of one feature. */
export type SettingsGroup = {
  readonly capabilities: Readonly<Partial<Record<Capability, CapabilityDeclaration>>>;
  readonly parameters: Readonly<Partial<Record<ParameterName, ParameterDeclaration>>>;
  readonly figures?: Readonly<Partial<Record<FigureName, FigureDeclaration>>>;
};

/** Settings as they would be after a change: the subject of every rule. */
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
  /** The capability that must be off if `breaks` returns true. */
  readonly capability: Capability;
  /** The capability that it excludes or requires. */
  readonly other?: Capability;
  readonly breaks: (subject: RuleSubject) => boolean;
  readonly message: string;
  /** True if the time of the change is wrong, not the combination of settings. */
  readonly isConflict?: boolean;
};

export type ParameterRule = {
  readonly name: string;
  readonly parameter: ParameterName;
  readonly breaks: (subject: RuleSubject) => boolean;
  readonly message: (subject: RuleSubject) => string;
  /** True if the value is outside its range; false if two settings contradict each other. */
  readonly isRange: boolean;
};

/** A rule: the two capabilities are never on together. */
export function excludes(capability: Capability, other: Capability): CapabilityRule {
  return {
    name: `${capability} excludes ${other}`,
    capability,
    other,
    breaks: ({ capabilities }) => capabilities.has(other),
    message: `Capability '${capability}' cannot be on together with '${other}'.`,
  };
}

/** A rule: the first capability is on only while the other one is. */
export function requires(capability: Capability, other: Capability): CapabilityRule {
  return {
    name: `${capability} requires ${other}`,
    capability,
    other,
    breaks: ({ capabilities }) => !capabilities.has(other),
    message: `Capability '${capability}' needs '${other}' to be on.`,
  };
}

/** A rule: the capability cannot be on once a target listens. */
export function beforeIncoming(capability: Capability): CapabilityRule {
  return {
    name: `${capability} is set before an incoming migration starts`,
    capability,
    breaks: ({ incomingStarted }) => incomingStarted,
    message: `Capability '${capability}' must be set before an incoming migration starts.`,
    isConflict: true,
  };
}

/** A rule: multifd channels are neither compressed nor encrypted while the capability is on. */
export function needsPlainChannels(capability: Capability): ParameterRule {
  return {
    name: `${capability} needs plain channels`,
    parameter: 'multifd-compression',
    breaks: (subject) => subject.capabilities.has(capability) && isCompressedOrEncrypted(subject),
    message: () => `multifd-compression and tls-creds cannot be set while capability '${capability}' is on.`,
    isRange: false,
  };
}

/** True if the data of multifd channels is compressed or encrypted. */
export function isCompressedOrEncrypted({ parameters }: RuleSubject): boolean {
  return parameters.get('multifd-compression') !== 'none' || parameters.get('tls-creds') !== '';
}

const UINT8_MAX = 255n;
const UINT32_MAX = 2n ** 32n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;

type Range = { readonly min?: bigint; readonly max?: bigint; readonly unit?: string };

/** A parameter of 8 bits. */
export function uint8(initial: number, range: Range = {}): IntegerDeclaration {
  return integer('uint8', initial, { max: UINT8_MAX, ...range });
}

/** A parameter of 32 bits. */
export function uint32(initial: number, range: Range = {}): IntegerDeclaration {
  return integer('uint32', initial, { max: UINT32_MAX, ...range });
}

/** A parameter of 64 bits. */
export function uint64(initial: number, range: Range = {}): IntegerDeclaration {
  return integer('uint64', initial, range);
}

/** A parameter of 64 bits that is also read with a suffix such as `64M`. */
export function size(initial: number, range: Range = {}): IntegerDeclaration {
  return integer('size', initial, range);
}

/** A share, which the text monitor prints without a unit. */
export function percent(initial: number, range: Omit<Range, 'unit'>): IntegerDeclaration {
  return { ...uint8(initial, { ...range, unit: '%' }), monitorUnit: null };
}

function integer(type: IntegerDeclaration['type'], initial: number, range: Range): IntegerDeclaration {
  return { type, default: initial, min: range.min ?? 0n, max: range.max ?? UINT64_MAX, unit: range.unit ?? null };
}

/** The value of an integer parameter. */
export function integerOf(parameters: ParameterSet, name: ParameterName): bigint {
  return BigInt(parameters.get(name) as number | bigint);
}
