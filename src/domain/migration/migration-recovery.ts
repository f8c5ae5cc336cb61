import type { EventHub } from '../events/event-hub.ts';
import { logMigrationEnded, SERVICE_STOPPED } from '../events/outcomes.ts';
import type { Clock, Note } from '../ports/process.ts';
import type { MigrationRecord, Store } from '../ports/store.ts';
import { emitStatus } from './migration-journal.ts';
import type { MigrationStatus } from './migration-status.ts';

type Recovery = {
  readonly store: Store;
  readonly clock: Clock;
  readonly events: EventHub;
  readonly note: Note;
};

/** Closes what a service that stopped left open: those migrations have failed. */
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
        // How long it took is not known: nobody saw its end.
        transferredBytes: store.migrations.lastSample(record.id)?.transferredBytes ?? null,
      });
      if (isClosed) emitStatus(emit, record, 'failed');
    });
    logMigrationEnded(note, record, { status: 'failed', error, guest });
  }
}

/** States in which the target may have been given the guest. */
const MAY_HAVE_LEFT: ReadonlySet<MigrationStatus> = new Set(['device', 'postcopy-active', 'postcopy-paused'] as const);

function describe(record: MigrationRecord): string {
  const during = `The service stopped during this migration, which was in state '${record.status}'.`;
  if (!MAY_HAVE_LEFT.has(record.status) || record.direction === 'incoming') return during;
  return `${during} The target may have the guest; look there before starting it elsewhere.`;
}
