import type { Changes, Emit, EventHub } from '../events/event-hub.ts';
import {
  logMigrationBegan,
  logMigrationEnded,
  logMigrationShared,
  type OutcomeCounts,
  SERVICE_STOPPED,
} from '../events/outcomes.ts';
import { type ExactJson, writeExactJson } from '../exact-json.ts';
import type { MigrationAddress, MigrationEnd, TransferError } from '../ports/migration-session.ts';
import type { Clock, IdSource, Note, Report, Schedule } from '../ports/process.ts';
import type { MigrationRecord, OnInsert, Store } from '../ports/store.ts';
import { withReserve, writeOrReport } from '../store-reserve.ts';
import { CurrentMigration, type Migrations } from './current-migration.ts';
import { addressText } from './migration-address.ts';
import { finalFigures } from './migration-history.ts';
import { firstPassPercent } from './migration-progress.ts';
import { isAllowed, type MigrationStatus } from './migration-status.ts';
import type { MigrationInfo } from './query.ts';
import { Recorder } from './recorder.ts';

export type JournalOptions = {
  readonly store: Store;
  readonly events: EventHub;
  readonly changes: Changes;
  readonly migrations: Migrations;
  readonly outcomeCounts: OutcomeCounts;
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly ids: IdSource;
  readonly note: Note;
  readonly report: Report;
  /** The current capabilities and parameters, as exact JSON text. */
  readonly settingsJson: () => string;
  /** The current answer of query-migrate. */
  readonly query: () => MigrationInfo;
};

/** The end of a migration, in its saved and published form. */
export type Ending = {
  readonly status: MigrationEnd['status'];
  readonly error: TransferError | null;
  readonly guest: MigrationEnd['guest'] | null;
};

export type RowOptions = {
  readonly address: MigrationAddress;
  readonly onInsert: OnInsert<MigrationRecord> | undefined;
  /** True if the row may be written with the reserved space, so that a guest can leave a host with a full disk. */
  readonly mayUseReserve: boolean;
};

/**
 * The only place that changes the status of a migration outside of the shared status: the row, the event and the answer
 * of query-migrate change together.
 */
export class MigrationJournal {
  readonly #options: JournalOptions;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** A migration that starts now, without a row. */
  create(direction: CurrentMigration['direction']): CurrentMigration {
    const { ids, clock } = this.#options;
    const began = { wall: clock.now(), monotonic: clock.monotonic() };
    return new CurrentMigration({ id: ids(), direction, began });
  }

  /**
   * Inserts the row and makes the migration the newest one. @throws the error of the store; then nothing has changed.
   */
  open(migration: CurrentMigration, { address, onInsert, mayUseReserve }: RowOptions): MigrationRecord {
    const { store, events, changes, migrations, note } = this.#options;
    const record = newRecord(migration, { uri: addressText(address), settingsJson: this.#options.settingsJson() });
    const insert = () =>
      events.commit((emit) => {
        store.migrations.insert(record);
        emitStatus(emit, record, 'setup');
        onInsert?.(record);
      });
    if (mayUseReserve) withReserve(store, insert);
    else insert();
    migrations.current = migration;
    migration.recorder = this.#recorderOf(migration);
    logMigrationBegan(note, record);
    changes.bump();
    return record;
  }

  /** Milliseconds since its start. */
  ageOf({ began }: CurrentMigration): number {
    return this.#options.clock.monotonic() - began.monotonic;
  }

  /** Adopts a status of the shared status. A late one (`active` after `cancelling`) is ignored. */
  applyStatus(migration: CurrentMigration, to: MigrationStatus): void {
    if (migration.status === to || !isAllowed(migration.status, to)) return;
    migration.status = to;
    this.#attempt(() => this.#save(migration, { status: to }));
    this.#options.changes.bump();
  }

  /** Adopts the id that both sides use for the migration. */
  applySharedId(migration: CurrentMigration, id: string): void {
    if (migration.isEnded) return;
    migration.sharedId = id;
    const { store, note } = this.#options;
    const { savedStatus: status } = migration;
    this.#attempt(() =>
      store.transaction(() => store.migrations.transition(migration.id, status, { status, sharedId: id })),
    );
    logMigrationShared(note, migration);
  }

  /** Publishes that a bitmap sync started a pass. */
  applyPass(migration: CurrentMigration, pass: number): void {
    if (migration.isEnded || migration.status === 'cancelling') return;
    const { events, changes, report } = this.#options;
    try {
      events.commit((emit) => emit('MIGRATION_PASS', { pass, id: migration.id }));
    } catch (error) {
      report(error);
    }
    changes.bump();
  }

  /** Adopts the end: the figures are frozen, the row is closed, and `settled` resolves. */
  applyEnd(migration: CurrentMigration, ending: Ending): void {
    if (migration.isEnded) return;
    const { changes, outcomeCounts, note, query } = this.#options;
    if (ending.status === 'cancelled') this.applyStatus(migration, 'cancelling');
    this.#attempt(() => migration.recorder?.stop());
    this.#attempt(() => migration.endThrottle());
    migration.status = ending.status;
    migration.error = ending.error;
    const revision = migration.liveRevision();
    migration.freeze();
    this.#attempt(() =>
      this.#save(migration, {
        status: ending.status,
        endedAt: this.#endOf(migration),
        errorCode: ending.error?.code ?? null,
        errorDescription: ending.error?.message ?? null,
        guest: ending.guest,
        sharedId: migration.sharedId,
        resultJson: writeExactJson(query() as ExactJson),
        ...finalFigures(migration),
      }),
    );
    outcomeCounts.migrationEnded(migration.direction, ending.status);
    logMigrationEnded(note, migration, ending);
    changes.bump(revision);
    migration.settle();
  }

  /** If the write fails, the migration continues; the error is reported, and the next write includes everything. */
  #attempt(work: () => void): void {
    writeOrReport(this.#options, work);
  }

  #save(migration: CurrentMigration, change: RowChange): void {
    const { store, events } = this.#options;
    events.commit((emit) => {
      if (!store.migrations.transition(migration.id, migration.savedStatus, change)) {
        throw new Error(`the row of migration ${migration.id} is not in state ${migration.savedStatus}`);
      }
      emitStatus(emit, migration, change.status);
    });
    migration.savedStatus = change.status;
  }

  /** At each tick of the recorder, waiting requests read the figures again. */
  #recorderOf(migration: CurrentMigration): Recorder {
    const { store, schedule, changes, report } = this.#options;
    return new Recorder(store, schedule, {
      id: migration.id,
      status: () => migration.status,
      figures: () => migration.figures(),
      onTick: () => {
        firstPassPercent(migration);
        changes.notify();
      },
      report,
    });
  }

  /**
   * Time of the end by the wall clock: the start plus `total-time`, so that a change of the wall clock never puts the
   * end before the start.
   */
  #endOf(migration: CurrentMigration): number {
    const durationMs = migration.figures()?.totalTimeMs ?? Math.round(this.ageOf(migration));
    return migration.began.wall + durationMs;
  }
}

type RowChange = Parameters<Store['migrations']['transition']>[2];

/** Writes the event of a status. The capability `events` only decides whether QMP sockets receive it. */
export function emitStatus(emit: Emit, { id }: Pick<MigrationRecord, 'id'>, status: MigrationStatus): void {
  emit('MIGRATION', { status, id });
}

function newRecord(
  { id, direction, began }: CurrentMigration,
  given: Pick<MigrationRecord, 'uri' | 'settingsJson'>,
): MigrationRecord {
  return {
    ...given,
    id,
    direction,
    status: 'setup',
    startedAt: began.wall,
    endedAt: null,
    errorCode: null,
    errorDescription: null,
    guest: null,
    resultJson: null,
    sharedId: null,
    transferredBytes: null,
    totalTimeMs: null,
    downtimeMs: null,
  };
}

type Recovery = {
  readonly store: Store;
  readonly clock: Clock;
  readonly events: EventHub;
  readonly note: Note;
};

/** Closes the migrations that an earlier process left open, as failed. */
export function recoverMigrations({ store, clock, events, note }: Recovery): void {
  for (const record of store.migrations.unfinished()) {
    const guest = MAY_HAVE_LEFT.has(record.status) ? 'unknown' : record.guest;
    const error = { code: SERVICE_STOPPED, message: describe(record) } as const;
    events.commit((emit) => {
      const isClosed = store.migrations.transition(record.id, record.status, {
        status: 'failed',
        endedAt: clock.now(),
        errorCode: error.code,
        errorDescription: error.message,
        guest,
        // The duration is unknown, because no process saw the end.
        transferredBytes: store.migrations.lastSample(record.id)?.transferredBytes ?? null,
      });
      if (isClosed) emitStatus(emit, record, 'failed');
    });
    logMigrationEnded(note, record, { status: 'failed', error, guest });
  }
}

/** Statuses in which the target may have received the guest. */
const MAY_HAVE_LEFT: ReadonlySet<MigrationStatus> = new Set(['device', 'postcopy-active', 'postcopy-paused'] as const);

function describe(record: MigrationRecord): string {
  const during = `The service stopped during this migration, which was in state '${record.status}'.`;
  if (!MAY_HAVE_LEFT.has(record.status) || record.direction === 'incoming') return during;
  return `${during} The target may have the guest; look there before starting it elsewhere.`;
}
