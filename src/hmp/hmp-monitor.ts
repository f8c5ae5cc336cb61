import type { MonitorAnswer, MonitorIo, TextMonitor } from '../commands/service.ts';
import type { Domain } from '../domain/domain.ts';
import { DomainError } from '../domain/errors.ts';
import { INFO_COMMANDS } from './commands/info.ts';
import * as machine from './commands/machine.ts';
import * as migration from './commands/migration.ts';
import * as settings from './commands/settings.ts';
import * as snapshots from './commands/snapshots.ts';
import { LineError, LineReader, printable, quoted } from './line-reader.ts';
import {
  completions,
  findCommand,
  MonitorCall,
  type MonitorCommand,
  parameterText,
  readArguments,
} from './monitor-command.ts';

/** Characters of a line, at most. The longest tag, address and value together have fewer. */
export const LINE_LENGTH_MAX = 65_536;
const PROGRESS_EVERY_MS = 1000;
const NOT_ALLOWED = 'not_allowed';

export type MonitorOptions = {
  /** Milliseconds between two reports of progress. */
  readonly progressEveryMs?: number;
};

/** The text monitor: takes lines and answers with text. Each line runs a command of the command table. */
export class HmpMonitor implements TextMonitor {
  readonly #domain: Domain;
  readonly #progressEveryMs: number;

  constructor(domain: Domain, options: MonitorOptions = {}) {
    this.#domain = domain;
    this.#progressEveryMs = options.progressEveryMs ?? PROGRESS_EVERY_MS;
  }

  /** @returns the text that a terminal shows */
  async run(line: string, io: MonitorIo = {}): Promise<string> {
    return (await this.answer(line, io)).text;
  }

  async answer(line: string, io: MonitorIo = {}): Promise<MonitorAnswer> {
    try {
      const text = await this.#runLine(line, io);
      return { text, isCommand: true };
    } catch (error) {
      if (error instanceof LineError) return { text: lineErrorText(error), isCommand: false };
      if (!isRefusal(error)) throw error;
      return { text: `Error: ${printable(error.message)}\n`, isCommand: true };
    }
  }

  complete(line: string): readonly string[] {
    return line.length > LINE_LENGTH_MAX ? [] : completions(TABLE, this.#domain, line);
  }

  async #runLine(line: string, io: MonitorIo): Promise<string> {
    if (line.length > LINE_LENGTH_MAX) {
      throw new LineError(`The line has ${line.length} characters; ${LINE_LENGTH_MAX} are allowed`);
    }
    const reader = new LineReader(line);
    const name = reader.commandName();
    if (name === '' && reader.isAtEnd) return '';
    const command = findCommand(TABLE, name);
    if (command === undefined) throw unknownCommand(name);
    if (command.subcommands === undefined) return await this.#run(command, reader, name, io);
    const subname = reader.commandName();
    if (subname === '' && reader.isAtEnd) return await this.#run(command, reader, name, io);
    const subcommand = findCommand(command.subcommands, subname);
    if (subcommand === undefined) throw unknownCommand(`${name} ${subname}`);
    return await this.#run(subcommand, reader, `${name} ${subname}`, io);
  }

  async #run(command: MonitorCommand, reader: LineReader, path: string, io: MonitorIo): Promise<string> {
    const values = readArguments(reader, command, path);
    const call = new MonitorCall({ domain: this.#domain, values, io, progressEveryMs: this.#progressEveryMs });
    return await command.run(call);
  }
}

/** True for an error that is answered with text. A caller whose role does not suffice gets the error of HTTP or QMP instead. */
function isRefusal(error: unknown): error is Error {
  return error instanceof DomainError && (error.code as string) !== NOT_ALLOWED;
}

function lineErrorText({ message, help }: LineError): string {
  const hint = help === null ? '' : `Try "help ${help}" for more information\n`;
  return `${message}\n${hint}`;
}

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
  ...[machine, migration, settings, snapshots].flatMap((family) => Object.values(family)),
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
