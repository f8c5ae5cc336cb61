import * as clientQueries from '../commands/client-queries.ts';
import { COMMANDS } from '../commands/command-table.ts';
import { dirtyRateOperations } from './dirty-rate.ts';
import { documentationOperations } from './documentation.ts';
import { EVENTS_OPERATION, eventsOperations } from './events.ts';
import { auditOperations, migrationsOperations } from './history.ts';
import { jobsOperations } from './jobs.ts';
import { machineOperations } from './machine.ts';
import { migrateOperations } from './migrate.ts';
import type { Operation, RouteContext } from './operation.ts';
import type { Server } from './plugins/common-hooks.ts';
import { registerOperation } from './register.ts';
import { coloOperations, xenOperations } from './replication.ts';
import { healthOperations, hmpOperations, METRICS_OPERATION, metricsOperations, qmpOperations } from './service.ts';
import { blockersOperations, settingsOperations } from './settings.ts';
import { snapshotsOperations } from './snapshots.ts';

const PLAIN_OPERATIONS: readonly Operation[] = [
  ...migrateOperations,
  ...snapshotsOperations,
  ...settingsOperations,
  ...blockersOperations,
  ...jobsOperations,
  ...migrationsOperations,
  ...dirtyRateOperations,
  ...machineOperations,
  ...xenOperations,
  ...coloOperations,
  ...hmpOperations,
  ...qmpOperations,
  ...auditOperations,
  ...healthOperations,
  ...documentationOperations,
];

/** Every operation, for the documentation. */
export const OPERATIONS: readonly Operation[] = [...PLAIN_OPERATIONS, EVENTS_OPERATION, METRICS_OPERATION];

/** Commands without a path of their own. They run through POST /qmp. */
const ONLY_THROUGH_QMP: ReadonlySet<string> = new Set(
  Object.values<{ readonly name: string }>(clientQueries)
    .map(({ name }) => name)
    .concat([
      // Commands of older schemas, each for one parameter.
      'migrate_set_speed',
      'migrate_set_downtime',
      'migrate-set-cache-size',
      'query-migrate-cache-size',
      // GET /vcpu-dirty-limit runs a command that can also answer for one vCPU.
      'query-vcpu-dirty-limit',
      'getfd',
      'closefd',
      'add-fd',
      'remove-fd',
      'query-fdsets',
      'query-version',
      'query-name',
      'query-uuid',
      'query-commands',
      'query-qmp-schema',
      'qmp_capabilities',
      'human-monitor-command',
      'quit',
    ]),
);

/** Registers every operation as a route. @throws Error if a command cannot be reached over HTTP */
export function registerOperations(server: Server, context: RouteContext): void {
  const reachable = new Set(
    OPERATIONS.flatMap(({ command, covers = [] }) => [command, ...covers]).map((entry) => entry?.name),
  );
  for (const name of COMMANDS.keys())
    if (!reachable.has(name) && !ONLY_THROUGH_QMP.has(name)) throw new Error(`no route runs the command ${name}`);
  const events = eventsOperations(server, context);
  const { domain, httpFigures: http, eventLoop, workers, space } = context;
  const isReady = (): boolean => context.readiness().ready;
  const figures = { domain, http, eventLoop, workers, space, isReady, eventStreams: events.open };
  const metrics = metricsOperations(figures);
  for (const operation of [...PLAIN_OPERATIONS, ...events.operations, ...metrics]) {
    registerOperation(server, context, operation);
  }
}
