import type { MonitorCommand } from './command.ts';
import * as dirtyRate from './commands/dirty-rate.ts';
import { INFO_COMMANDS } from './commands/info.ts';
import * as machine from './commands/machine.ts';
import * as migration from './commands/migration.ts';
import * as settings from './commands/settings.ts';
import * as snapshots from './commands/snapshots.ts';
import { helpText } from './help.ts';
import { Reader } from './reader.ts';

/* Every command of the monitor. help and info read the table, so they are made here. */

const info: MonitorCommand = {
  names: ['info'],
  parameters: [{ name: 'subcommand', type: 'string', isOptional: true }],
  help: 'show something of the machine or its migrations',
  subcommands: INFO_COMMANDS,
  run: async () => helpText(TABLE, ['info']),
};

const help: MonitorCommand = {
  names: ['help', '?'],
  parameters: [{ name: 'command', type: 'rest', isOptional: true }],
  help: 'show this list, or what is said of one command',
  run: async (call) => {
    const reader = new Reader(String(call.values.command ?? ''));
    const words: string[] = [];
    for (reader.skipSpace(); !reader.isAtEnd; reader.skipSpace()) words.push(reader.string());
    return helpText(TABLE, words);
  },
};

/** Sorted by name, as `help` lists them. */
export const TABLE: readonly MonitorCommand[] = [
  info,
  help,
  ...[dirtyRate, machine, migration, settings, snapshots].flatMap((family) => Object.values(family)),
].sort((one, other) => (one.names[0] < other.names[0] ? -1 : 1));
