import type { TSchema } from 'typebox';
import type { Command, Role } from '../commands/command.ts';
import { execute } from '../commands/execute.ts';
import type { MonitorIo } from '../commands/service.ts';
import type { Domain } from '../domain/domain.ts';
import { exact, readExpression } from './argument-values.ts';
import { isSpace, LineError, LineReader, quoted } from './line-reader.ts';

/* A command of the text monitor: its names, its arguments, and the function that runs a command of the command table. */

/** An argument. `string`: a word or a text in quotes; `integer`: an expression; `switch`: `on` or `off`; `rest`: the rest of the line. */
export type Parameter = {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'switch' | 'rest';
  /** True if the argument may be missing at the end of the line. */
  readonly isOptional?: true;
  /** Values for completion; `earlier` are the words of the line before the argument, flags included. */
  readonly words?: (domain: Domain, earlier: readonly string[]) => readonly string[];
};

/** An optional `-x`. Flags come before the arguments, in the order of the declaration. */
export type Flag = { readonly flag: string; readonly name: string };

export type MonitorCommand = {
  /** The name, then its synonyms. */
  readonly names: readonly [string, ...string[]];
  readonly flags?: readonly Flag[];
  readonly parameters?: readonly Parameter[];
  /** Text of `help`, without a full stop at the end. */
  readonly help: string;
  /** Commands that follow the name, as behind `info`; then `run` answers the name alone. */
  readonly subcommands?: readonly MonitorCommand[];
  /** @returns the lines of the answer, each with a line feed */
  readonly run: (call: MonitorCall) => Promise<string>;
};

/** Values of the arguments by name. A missing argument is undefined, a missing flag is false. */
export type Values = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

/** One execution of a monitor command. */
export class MonitorCall {
  readonly domain: Domain;
  readonly values: Values;
  readonly io: MonitorIo;
  /** Milliseconds between two reports of progress. */
  readonly progressEveryMs: number;

  constructor(parts: {
    readonly domain: Domain;
    readonly values: Values;
    readonly io: MonitorIo;
    readonly progressEveryMs: number;
  }) {
    this.domain = parts.domain;
    this.values = parts.values;
    this.io = parts.io;
    this.progressEveryMs = parts.progressEveryMs;
  }

  text(name: string): string {
    return this.values[name] as string;
  }

  flag(name: string): boolean {
    return this.values[name] === true;
  }

  /** Runs a command of the command table. @throws DomainError if it is refused */
  execute<A extends TSchema, R extends TSchema>(entry: Command<A, R>, arguments_: object = {}) {
    return execute(entry, { domain: this.domain, arguments: arguments_, ...this.#context });
  }

  /** Runs a command with arguments in its short form. @throws DomainError if it is refused */
  executeShort<A extends TSchema, R extends TSchema>(entry: Command<A, R>, arguments_: object) {
    return execute(entry, { domain: this.domain, arguments: arguments_, isShort: true, ...this.#context });
  }

  /** Role of the caller; undefined: all commands are allowed. */
  get role(): Role | undefined {
    return this.io.context?.role;
  }

  get #context() {
    return this.io.context === undefined ? {} : { context: this.io.context };
  }
}

/** Flags and arguments as `help` shows them: `[-d] [-r] uri`. */
export function parameterText({ flags = [], parameters = [] }: MonitorCommand): string {
  const shown = parameters.map(({ name, isOptional }) => (isOptional === true ? `[${name}]` : name));
  return [...flags.map(({ flag }) => `[-${flag}]`), ...shown].join(' ');
}

/** Finds a command by one of its names. Abbreviations are not accepted. */
export function findCommand(commands: readonly MonitorCommand[], name: string): MonitorCommand | undefined {
  return commands.find(({ names }) => names.includes(name));
}

/* Reads the arguments of a line, and completes the last word of an incomplete line. */

/**
 * Reads the arguments behind a command's name. `path` is the command with its subcommand, such as `info migrate`.
 * @throws LineError if an argument is missing or has the wrong type, or if too many are given
 */
export function readArguments(reader: LineReader, command: MonitorCommand, path: string): Values {
  const { flags = [], parameters = [] } = command;
  try {
    const given: Record<string, Values[string]> = {};
    for (const [index, flag] of flags.entries()) given[flag.name] = readFlag(reader, flag, flags.slice(index + 1));
    for (const parameter of parameters) given[parameter.name] = readParameter(reader, parameter);
    reader.skipSpace();
    if (!reader.isAtEnd) {
      throw new LineError(`The command has no argument for ${quoted(reader.text.slice(reader.at))}`);
    }
    return given;
  } catch (error) {
    if (!(error instanceof LineError)) throw error;
    throw new LineError(`${path}: ${error.message}`, path);
  }
}

/** Reads the flag if it is next. A later flag of the command is not read; an unknown flag is refused. */
function readFlag(reader: LineReader, { flag }: Flag, later: readonly Flag[]): boolean {
  reader.skipSpace();
  if (reader.peek() !== '-') return false;
  const given = reader.peek(1);
  if (given === flag) {
    reader.at += 2;
    return true;
  }
  if (later.some((other) => other.flag === given)) return false;
  throw new LineError(`The command has no option ${quoted(`-${given}`)}`);
}

function readParameter(reader: LineReader, { name, type, isOptional }: Parameter): Values[string] {
  reader.skipSpace();
  if (isOptional === true && reader.isAtEnd) return undefined;
  if (type === 'integer') return exact(readExpression(reader));
  if (reader.isAtEnd) throw new LineError(`${name} is missing`);
  if (type === 'rest') return reader.rest();
  return type === 'switch' ? readSwitch(reader, name) : reader.string();
}

/** Reads `on` or `off`, in lower case, not abbreviated and without quotes. */
function readSwitch(reader: LineReader, name: string): boolean {
  const word = reader.word();
  if (word === 'on') return true;
  if (word === 'off') return false;
  throw new LineError(`${name} is ${quoted(word)}; it has to be on or off`);
}

/** Splits an incomplete line into words. `isLastDone`: the line ends with white space. Null if the line ends inside a string. */
export function wordsOf(
  reader: LineReader,
): { readonly words: readonly string[]; readonly isLastDone: boolean } | null {
  const words: string[] = [];
  for (;;) {
    reader.skipSpace();
    if (reader.isAtEnd) {
      const last = reader.text.at(-1) ?? ' ';
      return { words, isLastDone: words.length === 0 || isSpace(last) };
    }
    try {
      words.push(reader.string());
    } catch (error) {
      if (error instanceof LineError) return null;
      throw error;
    }
  }
}

/** Completions of the last word of a line, in order. A line that ends in white space has an empty last word. */
export function completions(table: readonly MonitorCommand[], domain: Domain, line: string): readonly string[] {
  const typed = wordsOf(new LineReader(line));
  if (typed === null) return [];
  const { words, isLastDone } = typed;
  const finished = isLastDone ? words : words.slice(0, -1);
  const begun = isLastDone ? '' : (words.at(-1) ?? '');
  return candidates(table, domain, finished).filter((word) => word.startsWith(begun));
}

function candidates(table: readonly MonitorCommand[], domain: Domain, words: readonly string[]): readonly string[] {
  const [first, ...rest] = words;
  if (first === undefined) return namesOf(table);
  const command = findCommand(table, first);
  if (command === undefined) return [];
  if (command.names[0] === 'help') return helpWords(table, rest);
  if (command.subcommands === undefined) return argumentWords(command, domain, rest);
  const [second, ...more] = rest;
  if (second === undefined) return namesOf(command.subcommands);
  const subcommand = findCommand(command.subcommands, second);
  return subcommand === undefined ? [] : argumentWords(subcommand, domain, more);
}

function helpWords(table: readonly MonitorCommand[], words: readonly string[]): readonly string[] {
  if (words.length === 0) return namesOf(table);
  const subcommands = words.length === 1 ? findCommand(table, words[0] ?? '')?.subcommands : undefined;
  return namesOf(subcommands ?? []);
}

/** Candidates for the next argument. While only flags have been typed, the remaining flags come first. */
function argumentWords(command: MonitorCommand, domain: Domain, words: readonly string[]): readonly string[] {
  const flags = (command.flags ?? []).map(({ flag }) => `-${flag}`);
  const given = words.filter((word, index) => flags.includes(word) && index < flags.length);
  const parameter = command.parameters?.[words.length - given.length];
  const offered = words.length === given.length ? flags.filter((flag) => !given.includes(flag)) : [];
  return [...offered, ...(parameter?.words?.(domain, words) ?? [])];
}

function namesOf(commands: readonly MonitorCommand[]): readonly string[] {
  return commands.map(({ names }) => names[0]);
}
