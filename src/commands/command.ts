import type { Static, TSchema } from 'typebox';
import type { Domain } from '../domain/domain.ts';

/**
 * One thing that can be asked of the service, whichever door it comes through. A door parses text, finds the
 * command, calls `execute`, and shows the result in its own way; it adds no rule. In which states of the machine, of a
 * migration or of a job it may be called is decided where these states are known, in the domain, and stands there once.
 */
export type Command<A extends TSchema = TSchema, R extends TSchema = TSchema> = {
  /** As in QMP; commands that QEMU does not have begin with `x-ferry-`. */
  readonly name: string;
  /** One line for documentation. */
  readonly summary: string;
  /** How the command looks over QMP. */
  readonly qapi: Qapi;
  /** Whom it needs. A viewer may only look. */
  readonly role: Role;
  /** True of what leaves something behind that stays or goes on: a migration, a job, a blocker. */
  readonly begins?: true;
  /** True for what only looks, though it needs an operator: it leaves no trace in the audit trail. */
  readonly isUnaudited?: true;
  readonly arguments: A;
  readonly result: R;
  readonly run: (domain: Domain, arguments_: Static<A>, context: CommandContext) => Answer<R> | Promise<Answer<R>>;
  /**
   * Throws what `run` would refuse about these members, and changes nothing. Asked only when the schema found something
   * wrong, so that both are told at once: malformed members are left out, those of a list may still be malformed.
   */
  readonly check?: (domain: Domain, members: Members) => void;
  /** For doors that may leave members out which the command itself needs. */
  readonly short?: ShortForm;
};

export type Role = 'viewer' | 'operator';

/** Who asks, as the audit trail shows it. */
export type Caller = {
  readonly door: 'http' | 'qmp' | 'hmp';
  /** Which token it was by its fingerprint, or a word for callers without one. Never a secret. */
  readonly name: string;
  readonly address: string | null;
  readonly requestId: string | null;
};

/** A command of the QAPI schema, or null: one that QEMU does not have. */
export type Qapi = {
  /** What is answered over QMP: the command's result, or `{}` because QEMU's command has none. */
  readonly returns: 'result' | 'nothing';
  /** May be executed out of band, while other commands of the client wait. */
  readonly oob?: true;
  /** As in the schema. */
  readonly features?: readonly ('deprecated' | 'unstable' | 'savevm-monitor-nodes')[];
  /** The arguments that QEMU takes, where the other doors take more. */
  readonly arguments?: TSchema;
  /** What QEMU takes for members left out, where the other doors take something else. */
  readonly defaults?: Readonly<Record<string, unknown>>;
} | null;

/** Arguments with some left out, and how those are worked out. */
export type ShortForm = {
  readonly arguments: TSchema;
  /** @throws DomainError if that cannot be done, such as for a thing that is not there. */
  readonly complete: (domain: Domain, given: unknown) => unknown;
};

/** Declares a short form; the type of what is given follows from its schema. */
export function shortForm<S extends TSchema>(
  schema: S,
  complete: (domain: Domain, given: Static<S>) => unknown,
): ShortForm {
  return { arguments: schema, complete: (domain, given) => complete(domain, given as Static<S>) };
}

/** Arguments of which not everything fits its schema. */
export type Members = Readonly<Record<string, unknown>>;

/** What a door knows beside the arguments. */
export type CommandContext = {
  /** What the caller may do; undefined: everything. */
  readonly role?: Role;
  readonly caller?: Caller;
  /** Asked before a command begins something. @throws DoorError to a caller of whom the door has had enough. */
  readonly admit?: () => void;
  /** Awaited between the parts of what begins something, by doors where others wait for an answer meanwhile. */
  readonly nextTurn?: () => Promise<void>;
  /** Version of the settings that the caller has seen, to guard a change; undefined: no guard. */
  readonly expectedVersion?: number;
  /**
   * Told of the result inside the transaction that makes it true, by commands that begin something: what the caller
   * writes there is kept with it, or neither is. `jobSequence` if it is a job.
   */
  readonly begun?: (result: unknown, jobSequence?: number) => void;
  /** The text monitor: what it answers to one line, whose commands are given this context. */
  readonly monitor?: (line: string, context: CommandContext) => Promise<string>;
  /** A descriptor that came with the command, which the caller owns then; null if none did. */
  readonly takeDescriptor?: () => number | null;
  /** Switches on what a QMP client wants of its connection; there once, and only for one that has not said it yet. */
  readonly negotiate?: (enable: readonly string[]) => void;
};

/** The result of a command. It is deeply read-only, because it may contain objects of the domain. */
export type Answer<R extends TSchema> = DeepReadonly<Static<R>>;
type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** Declares a command; the types of `run` follow from the schemas. */
export function command<A extends TSchema, R extends TSchema>(declaration: Command<A, R>): Command<A, R> {
  return declaration;
}
