import type { AnnouncementRepository } from '../announce/announcer.ts';
import type { Page } from '../cursor.ts';
import type { JobOutcome, JobStatus } from '../jobs/job-lifecycle.ts';
import type { MigrationStatus } from '../migration/migration-status.ts';
import type { MigrationEnd, PassFigures } from './migration-session.ts';

/*
 * The store: synchronous calls, compare-and-set, append, ordered history. The implementation uses SQLite. All `…At` are
 * wall clock milliseconds since 1970.
 */

export type SettingsKind = 'capabilities' | 'parameters';

export interface SettingsRepository {
  /** The newest version; null: none. `json` is exact JSON text: 64-bit integers stay exact. */
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
  /** The answer of query-migrate at the end, exact JSON text. */
  readonly resultJson: string | null;
  /** The id of the row at the source, if both sides are vmferry and agreed on it; otherwise null. */
  readonly sharedId: string | null;
  /** Bytes of the stream, sent or received; null before the end, and if unknown. */
  readonly transferredBytes: number | null;
  /** From the start to the end; null before the end, and if unknown. */
  readonly totalTimeMs: number | null;
  /** Time in which the guest stood still; null except at a source that the guest left. */
  readonly downtimeMs: number | null;
};

/** A point of the time line, about every 100 ms; `atMs` is relative to the migration's `startedAt`. */
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

/** Limits of a list by time, both exclusive. A list with a limit is ordered by time. */
export type TimeRange = { readonly startedAfter?: number; readonly startedBefore?: number };

export type MigrationQuery = TimeRange & {
  readonly limit: number;
  readonly cursor: string | null;
  readonly status?: MigrationStatus;
  readonly direction?: MigrationDirection;
};

export type AuditListQuery = TimeRange & { readonly limit: number; readonly cursor: string | null };

/**
 * Called with a new row inside the transaction that inserts it: its own writes are committed with the row, or not at
 * all.
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
  /** Newest first; `cursor` is `next` of an earlier page. */
  list(query: MigrationQuery): Page<MigrationRecord>;
  samples(id: string, query: { readonly limit: number; readonly cursor: string | null }): Page<MigrationSample>;
  /** Rows without an end, which an earlier process left. */
  unfinished(): readonly MigrationRecord[];
}

/** A job, running or in the history. */
export type JobRecord = {
  /** Grows with every job and is never reused. An id may be reused after its job was dismissed. */
  readonly sequence: number;
  readonly id: string;
  readonly type: string;
  readonly status: JobStatus;
  /** Resources that the job needs exclusively. */
  readonly resources: readonly string[];
  /** The request: values that exact JSON can hold. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /**
   * From its start to its end, or to now, by the monotonic clock, milliseconds, including pauses. Null: never started.
   */
  readonly durationMs: number | null;
  readonly currentProgress: number;
  readonly totalProgress: number;
  /** Null until it has ended. */
  readonly outcome: JobOutcome | null;
  readonly errorCode: string | null;
  readonly errorDescription: string | null;
  readonly warnings: readonly string[];
  /** The result: values that exact JSON can hold. */
  readonly result: Readonly<Record<string, unknown>> | null;
  /**
   * Progress of the work in named steps. Kept after the end only if incomplete changes remain, which a later start
   * repairs.
   */
  readonly phase: string | null;
  /** The data that a recovery needs in that phase: values that exact JSON can hold. */
  readonly recovery: Readonly<Record<string, unknown>> | null;
};

/** A job to insert. An id of null: a new id that no job ever had. */
export type NewJob = Pick<JobRecord, 'type' | 'resources' | 'details' | 'createdAt'> & { readonly id: string | null };

export type JobQuery = TimeRange & {
  readonly limit: number;
  readonly cursor: string | null;
  readonly type?: string;
  readonly outcome?: JobOutcome;
  /** Only jobs that needed this resource. */
  readonly resource?: string;
};

export interface JobRepository {
  /** Adds a job in state `created`. */
  insert(job: NewJob): JobRecord;
  /** Writes all members that may change. A row with an outcome appears in the lists. */
  save(record: JobRecord): void;
  /** The newest job with this id. */
  get(id: string): JobRecord | null;
  bySequence(sequence: number): JobRecord | null;
  /** Jobs that have ended, newest first; `cursor` is `next` of an earlier page. */
  list(query: JobQuery): Page<JobRecord>;
  /** Jobs without an outcome, and jobs with a phase, which an earlier process left. Oldest first. */
  open(): readonly JobRecord[];
}

export type EventRecord = {
  /** Grows by one with every event and is never reused. */
  readonly id: number;
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly at: number;
};

export interface EventRepository {
  append(event: Omit<EventRecord, 'id'>): EventRecord;
  /** Events with an id above `after`, oldest first. */
  since(after: number, limit: number): readonly EventRecord[];
  /** Ids of the oldest and newest stored event; 0 if there are none. */
  bounds(): { readonly oldest: number; readonly newest: number };
  /** Removes the oldest events beyond `keep`, in small batches. */
  prune(keep: number): void;
}

/** The answer to a request with an idempotency key. */
export type RequestKeyRecord = {
  readonly key: string;
  /** Digest of the request. */
  readonly fingerprint: string;
  readonly location: string;
  readonly body: string;
  readonly jobSequence: number | null;
  readonly keptAt: number;
};

export interface RequestKeyRepository {
  get(key: string): RequestKeyRecord | null;
  /** Replaces an older answer with the same key. */
  put(record: RequestKeyRecord): void;
  /** Removes the oldest answers that were stored at `keptUntil` or before, at most `limit`. @returns their number. */
  removeOld(keptUntil: number, limit: number): number;
}

/** `unknown`: the process ended before the command did. */
export type AuditOutcome = 'running' | 'succeeded' | 'failed' | 'refused' | 'unknown';

/** A row of the audit trail. */
export type AuditRecord = {
  /** Grows with every row and is never reused. */
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
  /** Null while the command runs, and if unknown. */
  readonly durationMs: number | null;
};

export interface AuditRepository {
  /** @returns the id of the new row. */
  add(row: Omit<AuditRecord, 'id' | 'durationMs'>): number;
  end(id: number, end: Pick<AuditRecord, 'outcome' | 'errorCode' | 'durationMs'>): void;
  /** Sets unfinished rows of earlier processes to `unknown`. */
  closeOpen(): void;
  /** Newest first; `cursor` is `next` of an earlier page. */
  list(query: AuditListQuery): Page<AuditRecord>;
  /** Removes the oldest rows, at most one batch: refusals beyond `keepRefusals`, all others beyond `keep`. */
  prune(limits: { readonly keep: number; readonly keepRefusals: number }): void;
}

/**
 * `expiry-clock`: the wall clock, milliseconds since 1970, when expired snapshots were last searched for.
 * `expiry-jumps`: the jumps of the wall clock, with their times, as JSON.
 */
export type IdentityKey = 'uuid' | 'uuid-set' | 'expiry-clock' | 'expiry-jumps';

export interface IdentityRepository {
  get(key: IdentityKey): string | null;
  set(key: IdentityKey, value: string): void;
}

/** Figures of the store itself. Sizes in bytes; transactions since the store was opened. */
export type StoreFigures = {
  readonly bytes: number;
  readonly walBytes: number;
  readonly transactions: number;
  readonly transactionMs: number;
};

/** Disk space that is reserved so that the end of work can be written to a full disk. */
export interface Reserve {
  /** Reserves the space if it is not reserved yet. @throws DomainError no_space */
  keep(): void;
  /** Frees the space for the next write. @returns false if none was reserved. */
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
  /** Runs `work` in one transaction, which is durable as a whole or not at all. Synchronous; never awaits. */
  transaction<T>(work: () => T): T;
  figures(): StoreFigures;
  close(): void;
}
