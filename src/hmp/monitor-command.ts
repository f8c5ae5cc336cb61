import type { TSchema } from 'typebox';
import type { Command, Role } from '../commands/command.ts';
import { execute } from '../commands/execute.ts';
import type { MonitorIo } from '../commands/service.ts';
import type { Domain } from '../domain/domain.ts';

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
