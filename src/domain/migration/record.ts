import type { Context } from '../context.ts';
import type { MigrationRecord } from '../store-ports.ts';
import type { MigrationAddress } from '../transfer-port.ts';
import { addressText } from './address.ts';
import { CurrentMigration } from './current-migration.ts';
import { firstPassPercent } from './progress.ts';
import { Recorder } from './recorder.ts';

/** A migration that begins now. */
export function newMigration({ ids, clock }: Context, direction: CurrentMigration['direction']): CurrentMigration {
  return new CurrentMigration({ id: ids(), direction, began: { wall: clock.now(), monotonic: clock.monotonic() } });
}

/** Milliseconds since it began. */
export function ageOf({ clock }: Context, { began }: CurrentMigration): number {
  return clock.monotonic() - began.monotonic;
}

/**
 * When it ended, by the wall clock of its begin: as much later as `total-time` says. A wall clock that was set meanwhile
 * moves no end before its begin.
 */
export function endOf(context: Context, migration: CurrentMigration): number {
  const durationMs = migration.figures()?.totalTimeMs ?? Math.round(ageOf(context, migration));
  return migration.began.wall + durationMs;
}

/** The recorder of a migration; its tick is also what makes waiting readers look at the figures again. */
export function recorderOf(context: Context, migration: CurrentMigration): Recorder {
  return new Recorder(context.store, context.schedule, {
    id: migration.id,
    status: () => migration.status,
    figures: () => migration.figures(),
    onTick: () => {
      firstPassPercent(migration);
      context.changes.notify();
    },
    report: context.report,
  });
}

/** The row of a migration that begins. */
export function newRecord(context: Context, migration: CurrentMigration, address: MigrationAddress): MigrationRecord {
  return {
    id: migration.id,
    direction: migration.direction,
    uri: addressText(address),
    status: 'setup',
    startedAt: migration.began.wall,
    endedAt: null,
    errorCode: null,
    errorDescription: null,
    guest: null,
    settingsJson: context.settings.toJson(),
    resultJson: null,
    sharedId: null,
    transferredBytes: null,
    totalTimeMs: null,
    downtimeMs: null,
  };
}
