import type { MigrationStatus } from './migration/status.ts';
import type { MigrationEnd, PassFigures } from './transfer-port.ts';

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
};

/** A point of the time line, about every 100 ms; `atMs` counts from the migration's start. */
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

export type Page<T> = { readonly items: readonly T[]; readonly next: string | null };

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
  /** Newest first; `cursor` is what an earlier page gave as `next`. */
  list(query: {
    readonly limit: number;
    readonly cursor: string | null;
    readonly status?: MigrationStatus;
    readonly direction?: MigrationDirection;
  }): Page<MigrationRecord>;
  samples(id: string, query: { readonly limit: number; readonly cursor: string | null }): Page<MigrationSample>;
  /** Rows that have not ended: what a service that stopped left behind. */
  unfinished(): readonly MigrationRecord[];
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

export interface IdentityRepository {
  get(key: 'uuid'): string | null;
  set(key: 'uuid', value: string): void;
}

export interface Store {
  readonly settings: SettingsRepository;
  readonly migrations: MigrationRepository;
  readonly events: EventRepository;
  readonly identity: IdentityRepository;
  /** Runs `work` in one transaction: all of it is durable, or nothing. Synchronous; never awaits. */
  transaction<T>(work: () => T): T;
  close(): void;
}
