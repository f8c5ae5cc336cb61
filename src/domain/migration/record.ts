import type { Context } from '../context.ts';
import type { MigrationRecord } from '../store-ports.ts';
import type { MigrationAddress } from '../transfer-port.ts';
import { addressText } from './address.ts';
import type { CurrentMigration } from './current-migration.ts';
import { firstPassPercent } from './progress.ts';
import { Recorder } from './recorder.ts';

/** The recorder of a migration; its tick is also what makes waiting readers look at the figures again. */
export function recorderOf(context: Context, migration: CurrentMigration): Recorder {
  return new Recorder(
    context.store,
    { clock: context.clock, schedule: context.schedule },
    {
      id: migration.id,
      status: () => migration.status,
      figures: () => migration.figures(),
      onTick: () => {
        firstPassPercent(migration);
        context.changes.notify();
      },
      report: context.report,
    },
  );
}

/** The row of a migration that begins. */
export function newRecord(context: Context, migration: CurrentMigration, address: MigrationAddress): MigrationRecord {
  return {
    id: migration.id,
    direction: migration.direction,
    uri: addressText(address),
    status: 'setup',
    startedAt: context.clock.now(),
    endedAt: null,
    errorCode: null,
    errorDescription: null,
    guest: null,
    settingsJson: context.settings.toJson(),
    resultJson: null,
    transferredBytes: null,
    totalTimeMs: null,
    downtimeMs: null,
  };
}
