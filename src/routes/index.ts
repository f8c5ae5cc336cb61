import * as clients from '../commands/clients.ts';
import * as descriptors from '../commands/descriptors.ts';
import * as fdSets from '../commands/fd-sets.ts';
import * as legacy from '../commands/legacy.ts';
import * as probes from '../commands/probes.ts';
import { COMMANDS } from '../commands/table.ts';
import { announceOperations } from './announce.ts';
import { auditOperations } from './audit.ts';
import { blockersOperations } from './blockers.ts';
import { coloOperations } from './colo.ts';
import { dirtyRateOperations } from './dirty-rate.ts';
import { documentationOperations } from './documentation.ts';
import { EVENTS_OPERATION, eventsOperations } from './events.ts';
import { healthOperations } from './health.ts';
import { hmpOperations } from './hmp.ts';
import { jobsOperations } from './jobs.ts';
import { machineOperations } from './machine.ts';
import { METRICS_OPERATION, metricsOperations } from './metrics.ts';
import { migrateOperations } from './migrate.ts';
import { migrationsOperations } from './migrations.ts';
import type { Operation, RouteContext } from './operation.ts';
import { qmpOperations } from './qmp.ts';
import { registerOperation } from './register.ts';
import type { Server } from './server-type.ts';
import { settingsOperations } from './settings.ts';
import { snapshotsOperations } from './snapshots.ts';
import { xenOperations } from './xen.ts';

const PLAIN_OPERATIONS: readonly Operation[] = [
  ...migrateOperations,
  ...snapshotsOperations,
  ...settingsOperations,
  ...blockersOperations,
  ...jobsOperations,
  ...migrationsOperations,
  ...dirtyRateOperations,
  ...machineOperations,
  ...announceOperations,
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

/** Commands with no path of their own: POST /qmp leads to them. */
const ONLY_THROUGH_QMP: ReadonlySet<string> = new Set(
  Object.values<{ readonly name: string }>({ ...legacy, ...clients, ...descriptors, ...fdSets, ...probes })
    .map(({ name }) => name)
    .concat([
      // Its path leads to a command that answers the same, and of one vCPU if asked to.
      'query-vcpu-dirty-limit',
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

/** Makes every operation a route. @throws Error if a command has none: all doors lead to the same table. */
export function registerOperations(server: Server, context: RouteContext): void {
  const reachable = new Set(
    OPERATIONS.flatMap(({ command, covers = [] }) => [command, ...covers]).map((entry) => entry?.name),
  );
  for (const name of COMMANDS.keys())
    if (!reachable.has(name) && !ONLY_THROUGH_QMP.has(name)) throw new Error(`no route leads to the command ${name}`);
  const events = eventsOperations(server, context);
  const { domain, httpFigures: http, eventLoop, workers, space } = context;
  const isReady = (): boolean => context.readiness().ready;
  const figures = { domain, http, eventLoop, workers, space, isReady, eventStreams: events.open };
  const metrics = metricsOperations(figures);
  for (const operation of [...PLAIN_OPERATIONS, ...events.operations, ...metrics]) {
    registerOperation(server, context, operation);
  }
}
