import * as announce from './announce.ts';
import type { Command } from './command.ts';
import * as descriptors from './descriptors.ts';
import * as dirtyRate from './dirty-rate.ts';
import * as history from './history.ts';
import * as jobs from './jobs.ts';
import * as machine from './machine.ts';
import * as migrate from './migrate.ts';
import * as probes from './probes.ts';
import * as replication from './replication.ts';
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

const service = { queryVersion, queryName, queryUuid, quit, humanMonitorCommand, qmpCapabilities };

/** All commands by name. HTTP, QMP and the text monitor run these commands and no others. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [migrate, settings, machine, history, jobs, snapshots, dirtyRate, announce, replication, descriptors, probes, service]
    .flatMap((family) => Object.values(family) as unknown as Command[])
    .concat(introspectionCommands(() => COMMANDS))
    .map((entry) => [entry.name, entry]),
);
