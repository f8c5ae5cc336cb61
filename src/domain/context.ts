import type { Announcer } from './announce/announcer.ts';
import type { DescriptorCalls } from './descriptor-port.ts';
import type { DeviceFiles } from './device-port.ts';
import type { DirtyLimits } from './dirty/dirty-limits.ts';
import type { DirtyRate } from './dirty/dirty-rate.ts';
import type { EventHub } from './events.ts';
import type { Jobs } from './jobs/jobs.ts';
import type { RunStateHolder } from './machine/run-state-holder.ts';
import type { Blockers } from './migration/blockers.ts';
import type { Changes } from './migration/changes.ts';
import type { CurrentMigration } from './migration/current-migration.ts';
import type { FdSets } from './migration/fd-sets.ts';
import type { Reception } from './migration/reception.ts';
import type { Clock, Machine } from './ports.ts';
import type { Settings } from './settings/settings.ts';
import type { BlockEngine } from './snapshot-port.ts';
import type { Catalogue } from './snapshots/catalogue.ts';
import type { JobRecord, Store } from './store-ports.ts';
import type { Tally } from './tally.ts';
import type { Deadlines, TransferEngine } from './transfer-port.ts';

/**
 * Calls `work` once after `delayMs`. What is done in the background does not keep the process alive.
 * @returns a function that calls it off.
 */
export type Schedule = (work: () => void, delayMs: number, options?: { readonly isBackground: boolean }) => () => void;

/** Resolves once others who wait for the thread, such as for an answer, have had it. */
export type NextTurn = () => Promise<void>;

/** How important a line of the log is. */
export type NoteLevel = 'info' | 'warn' | 'error';

/** Makes a new id that was never used before. */
export type IdSource = () => string;

/** What a domain is given from outside, and its use cases share. Whoever made the store, machine and engines closes them. */
export type Surroundings = {
  readonly store: Store;
  readonly machine: Machine;
  readonly engine: TransferEngine;
  readonly blocks: BlockEngine;
  readonly deviceFiles: DeviceFiles;
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly nextTurn: NextTurn;
  readonly ids: IdSource;
  readonly identity: Identity;
  /** Absolute path of the only folder below which `file:` addresses may lie. */
  readonly fileRoot: string;
  readonly allowExec: boolean;
  readonly fds: ReadonlyMap<string, number>;
  readonly descriptorCalls: DescriptorCalls;
  readonly deadlines: Deadlines;
  /** --keep-listening: after an incoming migration that failed the next sender is awaited, unless a request says else. */
  readonly keepListening: boolean;
  /** --only-migratable: nothing may forbid an outgoing migration. */
  readonly isOnlyMigratable: boolean;
  /** Called when the process is to end: `failed` is true if an incoming migration with exit-on-error has failed. */
  readonly exitProcess: (failed: boolean) => void;
  /** Told of faults that no caller waits for, such as a full disk in the middle of a migration. */
  readonly report: (error: unknown) => void;
  /** Writes a line into the log: a sentence, plain data, and the level, which is `info` unless given. */
  readonly note: (message: string, details: Readonly<Record<string, unknown>>, level?: NoteLevel) => void;
};

/** Who the machine is. */
export type Identity = {
  readonly name: string;
  readonly uuid: string;
  /** True if somebody has chosen the uuid: only then a migration compares it, as QEMU does with its `-uuid`. */
  readonly isUuidSet: boolean;
};

/** What one machine's use cases share. Everything mutable about the machine is in here, nothing in a module. */
export type Context = Omit<Surroundings, 'fds'> & {
  /** Descriptors by name that no migration has used: one that has is closed, and its number may be another's. */
  readonly fds: Map<string, number>;
  readonly fdSets: FdSets;
  readonly events: EventHub;
  readonly settings: Settings;
  readonly runState: RunStateHolder;
  readonly blockers: Blockers;
  readonly changes: Changes;
  readonly jobs: Jobs;
  readonly catalogue: Catalogue;
  readonly dirtyRate: DirtyRate;
  readonly dirtyLimits: DirtyLimits;
  readonly announcer: Announcer;
  readonly tally: Tally;
  /** The newest migration, running or ended, of this process. */
  current: CurrentMigration | null;
  /** Where guests are awaited, also after a migration that failed; null where nothing listens. */
  reception: Reception | null;
  /** In `inmigrate`: the guest that has left is still whole here, and no sender has come since. */
  hasGuestThatLeft: boolean;
  /** An incoming migration whose listener is not yet bound. */
  isListenerStarting: boolean;
  /** A cont takes the disks into use: no other guest may be awaited meanwhile. */
  isTakingDisks: boolean;
  /** Jobs of an earlier process that may have left something in images which are not active yet. */
  unrecovered: readonly JobRecord[];
  /** The state of the devices is being taken, or put back. */
  isMovingDevices: boolean;
  /** False if the guest is to stay stopped once it has arrived (--paused, or a stop while inmigrate). */
  autostart: boolean;
  isClosing: boolean;
};
