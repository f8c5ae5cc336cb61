import type { AnnounceUseCases } from './announce/announce.ts';
import type { AuditUseCases } from './audit.ts';
import type { DeviceStateUseCases } from './devices/device-state.ts';
import type { DirtyUseCases, MigrationThreadInfo } from './dirty/dirty.ts';
import type { IdempotencyUseCases } from './idempotency.ts';
import type { JobName } from './jobs/jobs.ts';
import type { JobVerb } from './jobs/lifecycle.ts';
import type { SeenJob } from './jobs/line.ts';
import type { RunState } from './machine/run-state.ts';
import type { FdSetUseCases } from './migration/fd-sets.ts';
import type { CancelOutcome } from './migration/lifecycle.ts';
import type { DescriptorUseCases } from './migration/named-descriptors.ts';
import type { SocketAddress } from './migration/socket-address.ts';
import type { MigrationStatus } from './migration/status.ts';
import type { MachineDescription, MachineKind, Workload } from './ports.ts';
import type { ReplicationUseCases } from './replication.ts';
import type { CacheFigure, InfoFigure, RamFigure } from './settings/schema-order.ts';
import type { BlockNode, DigestReading } from './snapshot-port.ts';
import type { Snapshot, SnapshotQuery } from './snapshots/catalogue.ts';
import type { CompactRequest } from './snapshots/compact.ts';
import type { DeleteRequest } from './snapshots/delete.ts';
import type { LoadRequest } from './snapshots/load.ts';
import type { VmList } from './snapshots/monitor.ts';
import type { SaveRequest } from './snapshots/save.ts';
import type { VerifyRequest } from './snapshots/verify.ts';
import type { EventRecord, JobQuery, MigrationQuery, MigrationRecord, MigrationSample, Page } from './store-ports.ts';
import type { ServiceFigures } from './tally.ts';
import type { PassFigures } from './transfer-port.ts';

/*
 * The use cases that every door calls. Members with a dash carry QAPI's names, so that a door passes them through.
 * A `number | bigint` is exact: bigint above 2^53. Every method throws DomainError and changes nothing when refused.
 */

export type CapabilityStatus = { readonly capability: string; readonly state: boolean };

/** MigrationParameters of the QAPI schema. */
export type MigrationParameters = Readonly<Record<string, number | bigint | string | boolean | readonly unknown[]>>;

/** The answer of query-migrate: the status decides which members it has, as in QEMU 10.0. */
export type MigrationInfo = Partial<Readonly<Record<InfoFigure, number>>> & {
  readonly status?: MigrationStatus;
  readonly ram?: Readonly<Record<RamFigure, number>>;
  readonly 'xbzrle-cache'?: Readonly<Record<CacheFigure, number>>;
  readonly 'error-desc'?: string;
  readonly 'blocked-reasons'?: readonly string[];
  readonly 'socket-address'?: readonly SocketAddress[];
};

export type Verdict = 'converging' | 'stalled' | 'hopeless';

/** For people and dashboards. */
export type MigrationProgress = {
  readonly status: MigrationStatus;
  /** Share of RAM walked once, in percent; never falls during a migration. */
  readonly 'first-pass-percent': number;
  readonly pass: number;
  /** Null when no migration runs. */
  readonly verdict: { readonly verdict: Verdict; readonly reason: string } | null;
  /** Bytes/s. */
  readonly rate: number;
  /** Bytes/s that the guest dirties, by the newest figures. */
  readonly 'dirty-rate': number;
  readonly remaining: number;
  readonly 'expected-downtime': number;
  readonly 'downtime-limit': number;
  /** Milliseconds, or null with the reason why nothing can be said. */
  readonly 'time-to-go': { readonly min: number; readonly max: number } | null;
  readonly 'time-to-go-unknown': string | null;
};

/** MigrationChannel of the QAPI schema, as far as an address goes. */
export type MigrationChannel = {
  readonly 'channel-type': string;
  readonly addr: Readonly<Record<string, unknown>> & { readonly transport: string };
};

export type MigrateArguments = {
  readonly uri?: string;
  readonly channels?: readonly MigrationChannel[];
  readonly resume?: boolean;
};

export type IncomingArguments = {
  readonly uri?: string;
  readonly channels?: readonly MigrationChannel[];
  readonly 'exit-on-error'?: boolean;
  /** Where it is left out: what the service was started with. */
  readonly 'keep-listening'?: boolean;
};

export type MachineInfo = MachineDescription & {
  readonly kind: MachineKind;
  readonly name: string;
  readonly uuid: string;
};

/** StatusInfo of the QAPI schema. */
export type StatusInfo = { readonly running: boolean; readonly status: RunState };

export type Blocker = { readonly id: string; readonly reason: string };

export interface SettingsUseCases {
  capabilities(): readonly CapabilityStatus[];
  setCapabilities(list: readonly CapabilityStatus[], expectedVersion?: number): void;
  parameters(): MigrationParameters;
  setParameters(change: Readonly<Record<string, unknown>>, expectedVersion?: number): void;
  /** Throws what `setCapabilities` would; entries may be of any shape. */
  checkCapabilities(list: readonly unknown[]): void;
  /** Throws what `setParameters` would; values may be of any type. */
  checkParameters(change: Readonly<Record<string, unknown>>): void;
  /** Grows with every change of that kind of settings; survives restarts. `expectedVersion` above refers to it. */
  version(kind: 'capabilities' | 'parameters'): number;
}

/** A number that grows with every visible change. */
export interface Revisions {
  revision(): number;
  /** Resolves when `revision()` is no longer `seen`, or after `timeoutMs`, or when `signal` aborts. */
  changed(seen: number, timeoutMs: number, signal?: AbortSignal): Promise<void>;
}

export interface MigrationUseCases extends Revisions {
  query(): MigrationInfo;
  /** Of the machine, its migrations and its settings, without figures. */
  readonly state: Revisions;
  /** The newest migration of this process; null before the first. */
  newest(): { readonly id: string; readonly status: MigrationStatus } | null;
  progress(): MigrationProgress;
  /** Starts an outgoing migration; its failure to connect is reported by its status. */
  start(arguments_: MigrateArguments, begun?: Begun<MigrationRecord>): MigrationRecord;
  /** Starts to listen; resolves when the address is bound. */
  incoming(arguments_: IncomingArguments, begun?: Begun<MigrationRecord>): Promise<MigrationRecord>;
  /** Ends a listener that no sender has reached; resolves when its address is free. */
  stopListening(): Promise<void>;
  /** Resolves when the outcome has been reached. */
  cancel(): Promise<CancelOutcome>;
  continue(state: MigrationStatus): void;
  /** Of the migration under way, with the ids that the operating system knows them by. */
  threads(): readonly MigrationThreadInfo[];
  /** The three verbs of a post-copy migration. */
  pause(): void;
  recover(uri: string): void;
  startPostcopy(): void;
  /** Resolves when the migration has ended, or after `timeoutMs`. */
  ended(id: string, timeoutMs: number, signal?: AbortSignal): Promise<MigrationRecord>;
}

/** Called with a new row inside the transaction that keeps it: what is written there is kept with it, or neither is. */
export type Begun<Row> = (row: Row) => void;

/**
 * Snapshots of the machine. Those that work on images return the job, which may have to wait for its turn; what is
 * wrong then is the job's error.
 */
export interface SnapshotUseCases {
  /** The block device nodes, in the order of the service's flags. */
  nodes(): readonly BlockNode[];
  list(query: SnapshotQuery): Page<Snapshot>;
  get(tag: string): Snapshot;
  /** The digests kept with each part, in their order. Never rejects: what cannot be read, or not soon, says so. */
  digests(snapshot: Snapshot): Promise<readonly DigestReading[]>;
  /** Of a save, a load and a deletion: what rules them out is the error of the job, as in QEMU, but for a job that cannot be. */
  save(request: SaveRequest, begun?: Begun<SeenJob>): SeenJob;
  load(request: LoadRequest, begun?: Begun<SeenJob>): SeenJob;
  delete(request: DeleteRequest, begun?: Begun<SeenJob>): SeenJob;
  verify(request: VerifyRequest, begun?: Begun<SeenJob>): SeenJob;
  compact(request: CompactRequest, begun?: Begun<SeenJob>): SeenJob;
  /** @throws DomainError with what a job for this would have for its error already now. */
  checkSave(request: Omit<SaveRequest, 'jobId'>): void;
  checkLoad(request: Omit<LoadRequest, 'jobId'>): void;
  checkDelete(request: Omit<DeleteRequest, 'jobId'>): void;
  /** What a request that leaves nodes out means; those given stay as they are. */
  nodesToSave(): { readonly vmState: string; readonly devices: readonly string[] };
  nodesToLoad(
    tag: string,
    devices?: readonly string[],
  ): { readonly vmState: string; readonly devices: readonly string[] };
  nodesToVerify(
    tag: string,
    devices?: readonly string[],
  ): { readonly vmState: string | null; readonly devices: readonly string[] };
  nodesToDelete(tag: string, devices?: readonly string[]): readonly string[];
  newJobId(verb: string): string;
  /** savevm: resolves with the name when it is saved; null makes one. A snapshot of that name goes once the new one is whole. */
  saveVm(name: string | null): Promise<string>;
  loadVm(name: string): Promise<void>;
  deleteVm(name: string): Promise<void>;
  listVm(): VmList;
}

export interface HistoryUseCases {
  list(query: MigrationQuery): Page<MigrationRecord>;
  get(id: string): { readonly record: MigrationRecord; readonly passes: readonly PassFigures[] };
  samples(id: string, query: { readonly limit: number; readonly cursor: string | null }): Page<MigrationSample>;
}

export interface JobUseCases extends Revisions {
  /** Jobs that were not dismissed, newest first. */
  list(): readonly SeenJob[];
  /** A job that is listed, or the newest of this id in the history. */
  get(id: string): SeenJob;
  /** @returns the job as it is afterwards. */
  apply(id: string, verb: JobVerb): SeenJob;
  /** Jobs that have ended, newest first. */
  history(query: JobQuery): Page<SeenJob>;
  /** Resolves when the job has concluded, or after `timeoutMs`. */
  ended(which: JobName, timeoutMs: number, signal?: AbortSignal): Promise<SeenJob>;
}

export interface BlockerUseCases {
  /** True with --only-migratable: none can be added. */
  readonly isOnlyMigratable: boolean;
  list(): readonly Blocker[];
  add(reason: string): Blocker;
  remove(id: string): void;
}

export interface MachineUseCases {
  info(): MachineInfo;
  console(): string;
  setWorkload(change: Partial<Workload>): Workload;
  /** Throws what `setWorkload` would about rate and span; other members are not looked at. */
  checkWorkload(change: Readonly<Record<string, unknown>>): void;
  status(): StatusInfo;
  stop(): Promise<void>;
  cont(): Promise<void>;
  /** Tells that the machine ends, and asks for the end of the process. */
  quit(): void;
  /** The event that the process ends, and why. */
  tellShutdown(reason: 'host-signal'): void;
}

export interface EventUseCases {
  since(after: number, limit: number): readonly EventRecord[];
  bounds(): { readonly oldest: number; readonly newest: number };
  /** Called synchronously for each new event. @returns a function that ends the subscription. */
  subscribe(listener: (event: EventRecord) => void): () => void;
}

/** One machine and everything that can be done with it. */
export interface Domain {
  readonly settings: SettingsUseCases;
  readonly migration: MigrationUseCases;
  readonly history: HistoryUseCases;
  readonly snapshots: SnapshotUseCases;
  readonly idempotency: IdempotencyUseCases;
  readonly jobs: JobUseCases;
  readonly blockers: BlockerUseCases;
  readonly machine: MachineUseCases;
  readonly descriptors: DescriptorUseCases;
  readonly fdSets: FdSetUseCases;
  readonly dirty: DirtyUseCases;
  readonly devices: DeviceStateUseCases;
  readonly replication: ReplicationUseCases;
  readonly announcements: AnnounceUseCases;
  readonly events: EventUseCases;
  readonly audit: AuditUseCases;
  /** Figures for those who watch from outside. */
  figures(): ServiceFigures;
  /** Resolves when the images that an earlier process left half-done are put right; nothing may be asked before. */
  recovered(): Promise<void>;
  /**
   * Takes no new work any more. Resolves when what runs has ended, or after `timeoutMs`; an incoming migration is given
   * up at once, since its guest would only come here to be stopped.
   */
  drain(timeoutMs: number): Promise<void>;
  /** Ends what runs (an outgoing migration is cancelled, an incoming one aborted, jobs too) and writes what is left. */
  close(): Promise<void>;
}
