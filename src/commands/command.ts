import type { Static, TSchema } from 'typebox';
import type { Domain } from '../domain/domain.ts';
import { assertValid, type JsonSchema } from './validate.ts';

/**
 * One thing that can be asked of the service, whichever door it comes through. A door parses text, finds the
 * command, calls `execute`, and shows the result in its own way; it adds no rule.
 */
export type Command<A extends TSchema = TSchema, R extends TSchema = TSchema> = {
  /** As in QMP; commands that QEMU does not have begin with `x-ferry-`. */
  readonly name: string;
  /** One line for documentation. */
  readonly summary: string;
  /** True if the QAPI schema has a command of this name. */
  readonly isQapi: boolean;
  /** Whom it needs. A viewer may only look. */
  readonly role: 'viewer' | 'operator';
  readonly arguments: A;
  readonly result: R;
  readonly run: (domain: Domain, arguments_: Static<A>, context: CommandContext) => Result<R> | Promise<Result<R>>;
};

/** What a door knows beside the arguments. */
export type CommandContext = {
  /** Version of the settings that the caller has seen, to guard a change; undefined: no guard. */
  readonly expectedVersion?: number;
};

/** Results are read-only all the way down: they may be the domain's own objects. */
type Result<R extends TSchema> = DeepReadonly<Static<R>>;
type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** Declares a command; the types of `run` follow from the schemas. */
export function command<A extends TSchema, R extends TSchema>(declaration: Command<A, R>): Command<A, R> {
  return declaration;
}

/**
 * Checks the arguments and runs the command.
 * @throws DomainError, with every violation, when the arguments or the command are refused.
 */
export async function execute<A extends TSchema, R extends TSchema>(
  entry: Command<A, R>,
  call: { readonly domain: Domain; readonly arguments: unknown; readonly context?: CommandContext },
): Promise<Result<R>> {
  assertValid(entry.arguments as JsonSchema, call.arguments);
  return await entry.run(call.domain, call.arguments as Static<A>, call.context ?? {});
}
