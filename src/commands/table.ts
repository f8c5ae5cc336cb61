import * as announce from './announce.ts';
import * as audit from './audit.ts';
import * as blockers from './blockers.ts';
import * as clients from './clients.ts';
import * as colo from './colo.ts';
import type { Command } from './command.ts';
import * as descriptors from './descriptors.ts';
import * as dirtyRate from './dirty-rate.ts';
import * as fdSets from './fd-sets.ts';
import * as history from './history.ts';
import * as jobs from './jobs.ts';
import * as legacy from './legacy.ts';
import * as machine from './machine.ts';
import * as migrate from './migrate.ts';
import * as probes from './probes.ts';
import {
  humanMonitorCommand,
  introspectionCommands,
  qmpCapabilities,
  queryName,
  queryUuid,
  queryVersion,
  quit,
} from './service.ts';
import * as settings from './settings.ts';
import * as snapshots from './snapshots.ts';
import * as xen from './xen.ts';

const service = { queryVersion, queryName, queryUuid, quit, humanMonitorCommand, qmpCapabilities };

/** Every command by its name: what all doors can do, and all that they can do. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [
    migrate,
    settings,
    machine,
    history,
    jobs,
    blockers,
    snapshots,
    dirtyRate,
    announce,
    xen,
    colo,
    audit,
    legacy,
    clients,
    descriptors,
    fdSets,
    probes,
    service,
  ]
    .flatMap((family) => Object.values(family) as unknown as Command[])
    .concat(introspectionCommands(() => COMMANDS))
    .map((entry) => [entry.name, entry]),
);
