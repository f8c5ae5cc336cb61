import { INFO_COMMANDS } from './commands/info.ts';
import * as dirtyRate from './commands/machine.ts';
import * as machine from './commands/machine.ts';
import * as migration from './commands/migration.ts';
import * as settings from './commands/settings.ts';
import * as snapshots from './commands/snapshots.ts';
import { LineError, LineReader, quoted } from './line-reader.ts';
import { findCommand, type MonitorCommand, parameterText } from './monitor-command.ts';

/* The commands of the text monitor, and the text of `help`. `help` and `info` read the table, so they are declared here. */

const info: MonitorCommand = {
  names: ['info'],
  parameters: [{ name: 'subcommand', type: 'string', isOptional: true }],
  help: 'show the state of the machine, its migrations or its settings',
  subcommands: INFO_COMMANDS,
  run: async () => helpText(TABLE, ['info']),
};

const help: MonitorCommand = {
  names: ['help', '?'],
  parameters: [{ name: 'command', type: 'rest', isOptional: true }],
  help: 'show this list, or the help of one command',
  run: async (call) => {
    const reader = new LineReader(String(call.values.command ?? ''));
    const words: string[] = [];
    for (reader.skipSpace(); !reader.isAtEnd; reader.skipSpace()) words.push(reader.string());
    return helpText(TABLE, words);
  },
};

/** All commands, sorted by name. */
export const TABLE: readonly MonitorCommand[] = [
  info,
  help,
  ...[dirtyRate, machine, migration, settings, snapshots].flatMap((family) => Object.values(family)),
].sort((one, other) => (one.names[0] < other.names[0] ? -1 : 1));

/** The text of `help`: of all commands, of the commands behind `info`, or of one. @throws LineError for an unknown command */
export function helpText(table: readonly MonitorCommand[], words: readonly string[]): string {
  if (words.length === 0) return listText(table, '');
  const [first = '', second] = words;
  const command = findCommand(table, first);
  if (command === undefined) throw unknownCommand(first);
  if (command.subcommands === undefined) return lineText(command, '');
  if (second === undefined) return listText(command.subcommands, `${first} `);
  const subcommand = findCommand(command.subcommands, second);
  if (subcommand === undefined) throw unknownCommand(`${first} ${second}`);
  return lineText(subcommand, `${first} `);
}

/** The error for a line that does not begin with a command. */
export function unknownCommand(words: string): LineError {
  return new LineError(`unknown command: ${quoted(words)}`);
}

function listText(commands: readonly MonitorCommand[], prefix: string): string {
  return commands.map((command) => lineText(command, prefix)).join('');
}

/** Names, arguments and help text of a command. Further lines of the text are indented. */
function lineText(command: MonitorCommand, prefix: string): string {
  const help = command.help.replaceAll('\n', `\n${'\t'.repeat(3)} `);
  return `${prefix}${command.names.join('|')} ${parameterText(command)} -- ${help}\n`;
}
