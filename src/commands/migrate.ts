import type { Domain } from '../domain/domain.ts';
import type { MigrateArguments as DomainMigrateArguments, IncomingArguments } from '../domain/migration/channels.ts';
import type { MigrationRecord } from '../domain/ports/store.ts';
import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import { Migration } from './schemas/history.ts';
import {
  CancelResult,
  MigrateArguments,
  MigrateContinueArguments,
  MigrateIncomingArguments,
  MigrateRecoverArguments,
  MigrationInfo,
  MigrationProgress,
  QmpIncomingArguments,
} from './schemas/migrate.ts';
import { migrationView, withoutCommand } from './views/migration.ts';

/* The commands that start, observe and end a migration. */

export const queryMigrate = command({
  name: 'query-migrate',
  summary: 'Status and figures of the newest migration',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: MigrationInfo,
  run: (domain, _none, { role }) => (role === 'viewer' ? infoForViewer(domain) : domain.migration.query()),
});

/** The answer for a viewer. It leaves out the output of the command of an exec: address, which may contain secrets. */
function infoForViewer(domain: Domain): ReturnType<Domain['migration']['query']> {
  const info = domain.migration.query();
  const [newest] = info['error-desc'] === undefined ? [] : domain.history.list({ limit: 1, cursor: null }).items;
  if (newest === undefined) return info;
  const { errorDescription } = withoutCommand(newest);
  return errorDescription === newest.errorDescription ? info : { ...info, 'error-desc': errorDescription ?? '' };
}

export const migrate = command({
  name: 'migrate',
  summary: 'Start an outgoing migration',
  qapi: { returns: 'nothing' },
  role: 'operator',
  begins: true,
  arguments: MigrateArguments,
  result: Migration,
  run: (domain, { detach: _detach, ...rest }, { begun, role }) => {
    const onStart = (record: MigrationRecord): void => begun?.(migrationView(record, role));
    return migrationView(domain.migration.start(rest as DomainMigrateArguments, onStart), role);
  },
});

export const migrateIncoming = command({
  name: 'migrate-incoming',
  summary: 'Start an incoming migration',
  qapi: { returns: 'nothing', arguments: QmpIncomingArguments, defaults: { 'exit-on-error': true } },
  role: 'operator',
  begins: true,
  arguments: MigrateIncomingArguments,
  result: Migration,
  run: async (domain, arguments_, { begun, role }) => {
    const onStart = (record: MigrationRecord): void => begun?.(migrationView(record, role));
    return migrationView(await domain.migration.incoming(arguments_ as IncomingArguments, onStart), role);
  },
});

export const stopListening = command({
  name: 'x-ferry-stop-listening',
  summary: 'Stop listening for a migration, if no source has connected',
  qapi: null,
  role: 'operator',
  arguments: Empty,
  result: Empty,
  run: async (domain) => {
    await domain.migration.stopListening();
    return {};
  },
});

export const migrateCancel = command({
  name: 'migrate_cancel',
  summary: 'Cancel the running migration; the answer is the outcome',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: Empty,
  result: CancelResult,
  run: async (domain) => ({ outcome: await domain.migration.cancel() }),
});

export const migrateContinue = command({
  name: 'migrate-continue',
  summary: 'Resume a migration that waits before the switchover',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: MigrateContinueArguments,
  result: MigrationInfo,
  run: (domain, { state }) => {
    domain.migration.continue(state);
    return domain.migration.query();
  },
});

export const migratePause = command({
  name: 'migrate-pause',
  summary: 'Pause a migration in its post-copy phase',
  qapi: { returns: 'nothing', oob: true },
  role: 'operator',
  arguments: Empty,
  result: MigrationInfo,
  run: (domain) => {
    domain.migration.pause();
    return domain.migration.query();
  },
});

export const migrateRecover = command({
  name: 'migrate-recover',
  summary: 'Listen for the source of a post-copy migration that was interrupted',
  qapi: { returns: 'nothing', oob: true },
  role: 'operator',
  arguments: MigrateRecoverArguments,
  result: MigrationInfo,
  run: (domain, { uri }) => {
    domain.migration.recover(uri);
    return domain.migration.query();
  },
});

export const migrateStartPostcopy = command({
  name: 'migrate-start-postcopy',
  summary: 'Switch the migration to its post-copy phase',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: Empty,
  result: MigrationInfo,
  run: (domain) => {
    domain.migration.startPostcopy();
    return domain.migration.query();
  },
});

export const queryProgress = command({
  name: 'x-ferry-query-progress',
  summary: 'Progress for people: first pass, verdict, remaining time',
  qapi: null,
  role: 'viewer',
  arguments: Empty,
  result: MigrationProgress,
  run: (domain) => domain.migration.progress(),
});
