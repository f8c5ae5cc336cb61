import type { TSchema } from 'typebox';
import { type Command, execute, type Role } from '../commands/command.ts';
import type { Domain } from '../commands/domain.ts';
import type { MonitorIo } from '../commands/monitor.ts';

/* A command of the text monitor: its words, how its arguments are read, and which command of the table it leads to. */

/** How an argument is read: a word or text in quotes, an expression, one of the bare words `on` and `off`, or all that is left. */
export type Parameter = {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'switch' | 'rest';
  /** May be left out if nothing more stands on the line. */
  readonly isOptional?: true;
  /** Words that it may become; `earlier` are the words of the line before it, flags included. */
  readonly words?: (domain: Domain, earlier: readonly string[]) => readonly string[];
};

/** `-x`, given or not. Flags stand before the arguments, in the order of the table. */
export type Flag = { readonly flag: string; readonly name: string };

export type MonitorCommand = {
  /** The name, then others that mean the same. */
  readonly names: readonly [string, ...string[]];
  readonly flags?: readonly Flag[];
  readonly parameters?: readonly Parameter[];
  /** For people, without a full stop at the end. */
  readonly help: string;
  /** Commands of its own behind it; `run` is for the name alone then. */
  readonly subcommands?: readonly MonitorCommand[];
  /** @returns the lines of the answer, each with its line feed. */
  readonly run: (call: MonitorCall) => Promise<string>;
};

/** Arguments as they were read; what was left out is undefined, and a flag that was not given is false. */
export type Values = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

/** One line, being carried out. */
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

  /** Runs a command of the table. @throws DomainError if it is refused. */
  ask<A extends TSchema, R extends TSchema>(entry: Command<A, R>, arguments_: object = {}) {
    return execute(entry, { domain: this.domain, arguments: arguments_, ...this.#context });
  }

  /** The same with arguments of which some may be left out. @throws DomainError if it is refused. */
  askShort<A extends TSchema, R extends TSchema>(entry: Command<A, R>, arguments_: object) {
    return execute(entry, { domain: this.domain, arguments: arguments_, isShort: true, ...this.#context });
  }

  /** What the caller may do; undefined: everything. */
  get role(): Role | undefined {
    return this.io.context?.role;
  }

  get #context() {
    return this.io.context === undefined ? {} : { context: this.io.context };
  }
}

/** The parameters as `help` shows them: `[-d] [-r] uri`. */
export function parameterText({ flags = [], parameters = [] }: MonitorCommand): string {
  const shown = parameters.map(({ name, isOptional }) => (isOptional === true ? `[${name}]` : name));
  return [...flags.map(({ flag }) => `[-${flag}]`), ...shown].join(' ');
}

/** A command by one of its names, whole: no abbreviation is understood. */
export function findCommand(commands: readonly MonitorCommand[], name: string): MonitorCommand | undefined {
  return commands.find(({ names }) => names.includes(name));
}
