import type { Static, TSchema } from 'typebox';
import type { Domain } from '../domain/domain.ts';

/**
 * A command of the service. HTTP, QMP and the text monitor parse their own form of a request, run the command with `execute`, and
 * format the result; they add no rules. The domain decides in which states of the machine, a migration or a job a command
 * is allowed.
 */
export type Command<A extends TSchema = TSchema, R extends TSchema = TSchema> = {
  /** QMP's name. The names of commands that QEMU does not have begin with `x-ferry-`. */
  readonly name: string;
  /** One line for documentation. */
  readonly summary: string;
  /** The command's form in QMP. */
  readonly qapi: Qapi;
  /** Role that a caller needs. A viewer may only read. */
  readonly role: Role;
  /** True if the command creates something that remains after the answer: a migration, a job, a blocker. */
  readonly begins?: true;
  /** True for a command that only reads but needs an operator. It makes no row in the audit trail. */
  readonly isUnaudited?: true;
  readonly arguments: A;
  readonly result: R;
  run(domain: Domain, arguments_: Static<A>, context: CommandContext): Answer<R> | Promise<Answer<R>>;
  /**
   * Throws the error that `run` would throw for these members; changes nothing. It runs only if the schema has found violations, so
   * that both kinds are reported at once. Malformed members are left out; elements of a list may still be malformed.
   */
  readonly check?: (domain: Domain, members: Members) => void;
  /** Arguments of HTTP and the text monitor, which may leave out members that QMP requires. */
  readonly short?: ShortForm;
};

export type Role = 'viewer' | 'operator';

/** The caller, as the audit trail shows it. */
export type Caller = {
  readonly door: 'http' | 'qmp' | 'hmp';
  /** Fingerprint of the caller's token, or `owner` or `anyone` for a caller without one. Never a secret. */
  readonly name: string;
  readonly address: string | null;
  readonly requestId: string | null;
};

/** Form of a command in the QAPI schema; null for a command that QEMU does not have. */
export type Qapi = {
  /** `result`: QMP answers with the command's result. `nothing`: with `{}`, as QEMU's command has no result. */
  readonly returns: 'result' | 'nothing';
  /** True if it may run out of band, ahead of waiting commands of the client. */
  readonly oob?: true;
  /** Features of the command in the schema. */
  readonly features?: readonly ('deprecated' | 'unstable' | 'savevm-monitor-nodes')[];
  /** QEMU's arguments, if HTTP and the text monitor take more. */
  readonly arguments?: TSchema;
  /** QEMU's defaults, if HTTP and the text monitor have others. */
  readonly defaults?: Readonly<Record<string, unknown>>;
} | null;

/** Arguments that may leave members out, and a function that adds these members. */
export type ShortForm = {
  readonly arguments: TSchema;
  /** @throws DomainError if a member cannot be derived, for example because a snapshot does not exist */
  readonly complete: (domain: Domain, given: unknown) => unknown;
};

/** Declares a short form; the schema gives the type of `given`. */
export function shortForm<S extends TSchema>(
  schema: S,
  complete: (domain: Domain, given: Static<S>) => unknown,
): ShortForm {
  return { arguments: schema, complete: (domain, given) => complete(domain, given as Static<S>) };
}

/** Arguments that may not fit their schema. */
export type Members = Readonly<Record<string, unknown>>;

/** What a command needs to know beside its arguments. */
export type CommandContext = {
  /** Role of the caller; undefined: all commands are allowed. */
  readonly role?: Role;
  readonly caller?: Caller;
  /** Is called before a command with `begins`. @throws DoorError if the caller has begun too much */
  readonly admit?: () => void;
  /** Yields to the event loop between the parts of a long command, so that other requests are answered. */
  readonly yieldToOthers?: () => Promise<void>;
  /** Version of the settings on which a change is based; another version refuses it. Undefined: no check. */
  readonly expectedVersion?: number;
  /**
   * Is called by a command with `begins` inside the transaction that stores its result, so that the caller's own rows are
   * stored together with it or not at all. `jobSequence`: only for a job.
   */
  readonly begun?: (result: unknown, jobSequence?: number) => void;
  /** Runs a line of the text monitor with this context. */
  readonly monitor?: (line: string, context: CommandContext) => Promise<string>;
  /** The file descriptor that came with the command, or null. Its caller owns the descriptor. */
  readonly takeDescriptor?: () => number | null;
  /** Enables capabilities of a QMP connection; absent once the client has negotiated. */
  readonly negotiate?: (enable: readonly string[]) => void;
};

/** The result of a command. It is deeply read-only, because it may contain objects of the domain. */
export type Answer<R extends TSchema> = DeepReadonly<Static<R>>;
type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** Declares a command; the types of `run` follow from the schemas. */
export function command<A extends TSchema, R extends TSchema>(declaration: Command<A, R>): Command<A, R> {
  return declaration;
}

/** An error of HTTP itself, such as a rate limit, that no command has thrown. QMP's envelope cannot express it. */
export abstract class DoorError extends Error {
  abstract readonly code: string;
}

/** Error classes of QMP that vmferry uses. QEMU has further ones, for devices that do not exist here. */
export const QMP_CLASSES = ['GenericError', 'CommandNotFound', 'DeviceNotActive'] as const;
export type QmpClass = (typeof QMP_CLASSES)[number];

/** QMP's class of an error code. */
export function qmpClassOf(code: string): QmpClass {
  if (code === 'no_balloon') return 'DeviceNotActive';
  return COMMANDS_UNKNOWN.has(code) ? 'CommandNotFound' : 'GenericError';
}

const COMMANDS_UNKNOWN: ReadonlySet<string> = new Set(['not_found', 'method_not_allowed', 'already_negotiated']);
