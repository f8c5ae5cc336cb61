import * as clientQueries from './client-queries.ts';
import type { Command } from './command.ts';
import * as dirtyRate from './dirty-rate.ts';
import * as history from './history.ts';
import * as jobs from './jobs.ts';
import * as machine from './machine.ts';
import * as migrate from './migrate.ts';
import * as replication from './replication.ts';
import * as service from './service.ts';
import * as settings from './settings.ts';
import * as snapshots from './snapshots.ts';

const FAMILIES: readonly object[] = [
  migrate,
  settings,
  machine,
  history,
  jobs,
  snapshots,
  dirtyRate,
  replication,
  clientQueries,
  service,
];

/**
 * The commands of the first version, in its order. query-commands lists them first, and query-qmp-schema numbers the types in
 * the order of their first use. Clients have recorded both, so neither this list nor its order changes. Other commands follow and
 * are not listed here.
 */
export const FIRST_COMMANDS: readonly string[] = `
  migrate migrate_cancel migrate-continue migrate-incoming migrate-pause migrate-recover migrate-start-postcopy query-migrate
  x-ferry-query-progress x-ferry-stop-listening
  migrate-set-capabilities migrate-set-parameters query-migrate-capabilities query-migrate-parameters
  cont x-ferry-query-console x-ferry-query-machine query-status x-ferry-set-workload stop
  x-ferry-query-migration x-ferry-query-migrations x-ferry-query-samples
  job-cancel job-complete job-dismiss job-finalize job-pause job-resume
  x-ferry-query-jobs x-ferry-query-job x-ferry-query-job-history query-jobs
  x-ferry-add-blocker x-ferry-query-blockers x-ferry-remove-blocker
  x-ferry-delvm x-ferry-loadvm x-ferry-query-snapshot x-ferry-query-snapshots x-ferry-query-vm-snapshots x-ferry-savevm
  snapshot-delete snapshot-load snapshot-save x-ferry-snapshot-save x-ferry-snapshot-verify
  calc-dirty-rate cancel-vcpu-dirty-limit query-dirty-rate query-migrationthreads x-ferry-query-vcpu-dirty-limit
  query-vcpu-dirty-limit set-vcpu-dirty-limit
  announce-self x-ferry-query-announcement x-ferry-query-announcements
  query-xen-replication-status xen-colo-do-checkpoint xen-load-devices-state xen-save-devices-state
  xen-set-global-dirty-log xen-set-replication x-colo-lost-heartbeat query-colo-status
  x-ferry-query-audit
  migrate-set-cache-size migrate_set_downtime migrate_set_speed query-migrate-cache-size
  query-block query-block-jobs query-chardev query-cpus-fast query-iothreads query-kvm query-memory-size-summary
  query-named-block-nodes query-target
  closefd getfd
  query-version query-name query-uuid quit human-monitor-command qmp_capabilities query-commands query-qmp-schema
`
  .trim()
  .split(/\s+/);

/** All commands by name. HTTP, QMP and the text monitor run these commands and no others. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  FAMILIES.flatMap(commandsOf)
    .concat(service.introspectionCommands(listedCommands))
    .sort((left, right) => placeOf(left) - placeOf(right))
    .map((entry) => [entry.name, entry]),
);

function listedCommands(): service.ListedCommands {
  const all = [...COMMANDS.values()];
  return { first: all.slice(0, FIRST_COMMANDS.length), later: all.slice(FIRST_COMMANDS.length) };
}

/** The commands among the exports of a family's file. */
function commandsOf(family: object): readonly Command[] {
  return Object.values(family).filter(
    (value): value is Command => typeof value === 'object' && value !== null && 'run' in value,
  );
}

function placeOf({ name }: Command): number {
  const index = FIRST_COMMANDS.indexOf(name);
  return index < 0 ? FIRST_COMMANDS.length : index;
}
