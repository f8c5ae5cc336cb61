import type { AnnouncementRepository } from '../announce/announcer.ts';
import type { Page } from '../cursor.ts';
import type { JobOutcome, JobStatus } from '../jobs/job-lifecycle.ts';
import type { MigrationStatus } from '../migration/migration-status.ts';
import type { MigrationEnd, PassFigures } from './migration-session.ts';

/*
 * What the domain needs of a store: synchronous calls, compare-and-set, append, ordered history. SQLite implements
 * it; PostgreSQL could. All `…At` are wall clock milliseconds since 1970.
 */

export type SettingsKind = 'capabilities' | 'parameters';

export interface SettingsRepository {
  /** The newest version, or null before the first. `json` is exact JSON text: 64-bit integers stay exact. */
  load(kind: SettingsKind): { readonly version: number; readonly json: string } | null;
  /** Appends version `expectedVersion + 1`. @returns false if another version was appended meanwhile. */
  save(
    kind: SettingsKind,
    expectedVersion: number,
    entry: { readonly json: string; readonly changedAt: number },
  ): boolean;
}

export type MigrationDirection = 'outgoing' | 'incoming';

/** A row of the migration history. */
export type MigrationRecord = {
  readonly id: string;
  readonly direction: MigrationDirection;
  readonly uri: string;
  readonly status: MigrationStatus;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly errorCode: string | null;
  readonly errorDescription: string | null;
  readonly guest: MigrationEnd['guest'] | null;
  /** Capabilities and parameters at the start, exact JSON text. */
  readonly settingsJson: string;
  /** query-migrate's answer when it ended, exact JSON text. */
  readonly resultJson: string | null;
  /** The id of the row at the source, where both sides are vmferrys and know it; otherwise null. */
  readonly sharedId: string | null;
  /** Bytes of the stream that went or came; null before the end, and where it is not known. */
  readonly transferredBytes: number | null;
  /** From its start to its end; null before the end, and where it is not known. */
  readonly totalTimeMs: number | null;
  /** How long the guest stood still; null unless this side sent it away. */
  readonly downtimeMs: number | null;
};

/** A point of the time line, about every 100 ms; `atMs` counts from the migration's `startedAt`. */
export type MigrationSample = {
  readonly atMs: number;
  readonly status: MigrationStatus;
  readonly transferredBytes: number;
  readonly remainingBytes: number;
  readonly bandwidth: number;
  readonly dirtyPagesRate: number;
  readonly expectedDowntimeMs: number;
  readonly pass: number;
};

/** Bounds of a list by time, neither of them within it; a list with one is in the order of time. */
export type TimeRange = { readonly startedAfter?: number; readonly startedBefore?: number };

export type MigrationQuery = TimeRange & {
  readonly limit: number;
  readonly cursor: string | null;
  readonly status?: MigrationStatus;
  readonly direction?: MigrationDirection;
};

export type AuditListQuery = TimeRange & { readonly limit: number; readonly cursor: string | null };

/**
 * Called with a new row inside the transaction that inserts it: what is written there is kept with the row, or neither
 * is.
 */
export type OnInsert<Row> = (row: Row) => void;

export interface MigrationRepository {
  insert(record: MigrationRecord): void;
  /** Compare-and-set of the status. @returns false if the row is not in `from`. */
  transition(
    id: string,
    from: MigrationStatus,
    change: Pick<MigrationRecord, 'status'> & Partial<Omit<MigrationRecord, 'id' | 'direction' | 'status'>>,
  ): boolean;
  addPass(id: string, figures: PassFigures): void;
  addSamples(id: string, samples: readonly MigrationSample[]): void;
  get(id: string): MigrationRecord | null;
  passes(id: string): readonly PassFigures[];
  /** The newest point of the time line; null if there is none. */
  lastSample(id: string): MigrationSample | null;
  /** Newest first; `cursor` is what an earlier page gave as `next`. */
  list(query: MigrationQuery): Page<MigrationRecord>;
  samples(id: string, query: { readonly limit: number; readonly cursor: string | null }): Page<MigrationSample>;
  /** Rows that have not ended: what a service that stopped left behind. */
  unfinished(): readonly MigrationRecord[];
}

/** A job: as it is now, or as the history has it. */
export type JobRecord = {
  /** Grows with every job, never reused: an id may be used again once its job was dismissed. */
  readonly sequence: number;
  readonly id: string;
  readonly type: string;
  readonly status: JobStatus;
  /** What it needed for itself alone. */
  readonly resources: readonly string[];
  /** What it was asked to do: values that exact JSON can hold. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** From its start to its end, or until now, by the monotonic clock, milliseconds; pauses count. Null: never started. */
  readonly durationMs: number | null;
  readonly currentProgress: number;
  readonly totalProgress: number;
  /** Null until it has ended. */
  readonly outcome: JobOutcome | null;
  readonly errorCode: string | null;
  readonly errorDescription: string | null;
  readonly warnings: readonly string[];
  /** What came of it: values that exact JSON can hold. */
  readonly result: Readonly<Record<string, unknown>> | null;
  /** How far its work came; kept beyond the end only where something half-made was left, to be put right by a start. */
  readonly phase: string | null;
  /** What a recovery needs to know in that phase: values that exact JSON can hold. */
  readonly recovery: Readonly<Record<string, unknown>> | null;
};

/** A job to be added; with an id of null one is made that no job ever had. */
export type NewJob = Pick<JobRecord, 'type' | 'resources' | 'details' | 'createdAt'> & { readonly id: string | null };

export type JobQuery = TimeRange & {
  readonly limit: number;
  readonly cursor: string | null;
  readonly type?: string;
  readonly outcome?: JobOutcome;
  /** Only jobs that needed this. */
  readonly resource?: string;
};

export interface JobRepository {
  /** Adds a job in state `created`. */
  insert(job: NewJob): JobRecord;
  /** Writes everything that may change. With an outcome it appears in the lists. */
  save(record: JobRecord): void;
  /** The newest job of this id. */
  get(id: string): JobRecord | null;
  bySequence(sequence: number): JobRecord | null;
  /** Jobs that have ended, newest first; `cursor` is what an earlier page gave as `next`. */
  list(query: JobQuery): Page<JobRecord>;
  /** Jobs without an outcome, and those with a phase: what a service that stopped left behind. Oldest first. */
  open(): readonly JobRecord[];
}

export type EventRecord = {
  /** Grows by one with every event, never reused. */
  readonly id: number;
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly at: number;
};

export interface EventRepository {
  append(event: Omit<EventRecord, 'id'>): EventRecord;
  /** Events with an id above `after`, oldest first. */
  since(after: number, limit: number): readonly EventRecord[];
  /** Ids of the oldest and newest event kept, 0 if there are none. */
  bounds(): { readonly oldest: number; readonly newest: number };
  /** Removes the oldest beyond `keep`, in small batches. */
  prune(keep: number): void;
}

/** The answer to a request that named itself by a key. */
export type RequestKeyRecord = {
  readonly key: string;
  /** Digest of what was asked for. */
  readonly fingerprint: string;
  readonly location: string;
  readonly body: string;
  readonly jobSequence: number | null;
  readonly keptAt: number;
};

export interface RequestKeyRepository {
  get(key: string): RequestKeyRecord | null;
  /** Takes the place of an older one with the same key. */
  put(record: RequestKeyRecord): void;
  /** Removes the oldest that were kept at `keptUntil` or before, `limit` of them at most. @returns how many. */
  removeOld(keptUntil: number, limit: number): number;
}

/** `unknown`: the process ended before the command did. */
export type AuditOutcome = 'running' | 'succeeded' | 'failed' | 'refused' | 'unknown';

/** A row of the audit trail. */
export type AuditRecord = {
  /** Grows with every row, never reused. */
  readonly id: number;
  readonly at: number;
  readonly door: string | null;
  readonly name: string;
  readonly address: string | null;
  readonly requestId: string | null;
  readonly command: string;
  readonly arguments: string;
  readonly outcome: AuditOutcome;
  readonly errorCode: string | null;
  /** Null while it runs, and if it is not known. */
  readonly durationMs: number | null;
};

export interface AuditRepository {
  /** @returns the id of the new row. */
  add(row: Omit<AuditRecord, 'id' | 'durationMs'>): number;
  end(id: number, end: Pick<AuditRecord, 'outcome' | 'errorCode' | 'durationMs'>): void;
  /** Rows of commands that an earlier process did not see the end of become `unknown`. */
  closeOpen(): void;
  /** Newest first; `cursor` is what an earlier page gave as `next`. */
  list(query: AuditListQuery): Page<AuditRecord>;
  /** Removes the oldest, a batch at most: refusals beyond `keepRefusals`, all others beyond `keep`. */
  prune(limits: { readonly keep: number; readonly keepRefusals: number }): void;
}

/**
 * `expiry-clock`: milliseconds since 1970, how late it was when snapshots were last looked at for their expiry.
 * `expiry-jumps`: by how much the clock has jumped ahead since, and when, as JSON.
 */
export type IdentityKey = 'uuid' | 'uuid-set' | 'expiry-clock' | 'expiry-jumps';

export interface IdentityRepository {
  get(key: IdentityKey): string | null;
  set(key: IdentityKey, value: string): void;
}

/** Figures of the store itself. Sizes in bytes; transactions since it was opened. */
export type StoreFigures = {
  readonly bytes: number;
  readonly walBytes: number;
  readonly transactions: number;
  readonly transactionMs: number;
};

/** Room on the disk that is kept for the words on how work ended: they are to be written where nothing else can be. */
export interface Reserve {
  /** Takes the room if it is not taken already. @throws DomainError if there is none. */
  keep(): void;
  /** Gives it to whoever writes next. @returns false if there was none. */
  free(): boolean;
}

export interface Store {
  readonly settings: SettingsRepository;
  readonly migrations: MigrationRepository;
  readonly jobs: JobRepository;
  readonly requestKeys: RequestKeyRepository;
  readonly events: EventRepository;
  readonly identity: IdentityRepository;
  readonly audit: AuditRepository;
  readonly announcements: AnnouncementRepository;
  readonly reserve: Reserve;
  /** Runs `work` in one transaction: all of it is durable, or nothing. Synchronous; never awaits. */
  transaction<T>(work: () => T): T;
  figures(): StoreFigures;
  close(): void;
}
