import { findCommand, type MonitorCommand, parameterText } from './command.ts';
import { LineError } from './line-error.ts';
import { quoted } from './printable.ts';

/** What `help` says: of all commands, of those behind `info`, or of one. @throws LineError for a word unknown */
export function helpText(table: readonly MonitorCommand[], words: readonly string[]): string {
  if (words.length === 0) return listText(table, '');
  const [first = '', second] = words;
  const command = findCommand(table, first);
  if (command === undefined) throw unknown(first);
  if (command.subcommands === undefined) return lineText(command, '');
  if (second === undefined) return listText(command.subcommands, `${first} `);
  const subcommand = findCommand(command.subcommands, second);
  if (subcommand === undefined) throw unknown(`${first} ${second}`);
  return lineText(subcommand, `${first} `);
}

/** A line that begins with no command. */
export function unknown(words: string): LineError {
  return new LineError(`unknown command: ${quoted(words)}`);
}

function listText(commands: readonly MonitorCommand[], prefix: string): string {
  return commands.map((command) => lineText(command, prefix)).join('');
}

/** Names, parameters and what it does; what is said beyond a line is set in. */
function lineText(command: MonitorCommand, prefix: string): string {
  const help = command.help.replaceAll('\n', `\n${'\t'.repeat(3)} `);
  return `${prefix}${command.names.join('|')} ${parameterText(command)} -- ${help}\n`;
}
