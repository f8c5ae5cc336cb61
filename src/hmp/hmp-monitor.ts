import type { MonitorAnswer, MonitorIo, TextMonitor } from '../commands/service.ts';
import type { Domain } from '../domain/domain.ts';
import { DomainError } from '../domain/errors.ts';
import { LineError, LineReader, printable } from './line-reader.ts';
import { completions, readArguments } from './monitor-arguments.ts';
import { findCommand, MonitorCall, type MonitorCommand } from './monitor-command.ts';
import { TABLE, unknownCommand } from './monitor-table.ts';

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
