import type { Static, TSchema } from 'typebox';
import type { AuditEntry } from '../domain/audit.ts';
import type { Domain } from '../domain/domain.ts';
import { DomainError } from '../domain/errors.ts';
import { argumentsText } from './arguments-text.ts';
import { DoorError } from './errors.ts';
import { collectFindings, refuseFindings } from './findings.ts';
import type { JsonSchema } from './validate.ts';

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

type Execution = {
  readonly domain: Domain;
  readonly arguments: unknown;
  readonly context?: CommandContext;
  /** True if the arguments are in the command's short form. */
  readonly isShort?: boolean;
};

/**
 * Checks the caller's role and the arguments, and runs the command. What needs an operator leaves a trace in the audit
 * trail, when it begins and how it ended, and so does what a viewer was refused.
 * @throws DomainError, with every violation, when the caller, the arguments or the command are refused; a DoorError.
 */
export async function execute<A extends TSchema, R extends TSchema>(
  entry: Command<A, R>,
  call: Execution,
): Promise<Answer<R>> {
  authorize(entry, call);
  if (entry.begins === true) call.context?.admit?.();
  if (entry.role === 'viewer' || entry.isUnaudited === true) return await checkAndRun(entry, call);
  const trace = call.domain.audit.begin(traceOf(entry, call));
  try {
    if (entry.begins === true && call.context?.nextTurn !== undefined) await call.context.nextTurn();
    const result = await checkAndRun(entry, call);
    trace.end(null);
    return result;
  } catch (error) {
    trace.end(error instanceof DomainError || error instanceof DoorError ? error.code : 'internal_error');
    throw error;
  }
}

/**
 * For doors that refuse a request before its command is executed: leaves the trace that the command would have left. A
 * caller whose role does not suffice is counted among the refusals.
 */
export function traceRefusal(
  entry: Pick<Command, 'name' | 'role' | 'isUnaudited'>,
  call: Execution,
  code: string,
): void {
  if (entry.role === 'viewer' || entry.isUnaudited === true) return;
  const trace = traceOf(entry, call);
  if (call.context?.role === 'viewer') call.domain.audit.refused(trace, code);
  else call.domain.audit.begin(trace).end(code);
}

/** For doors that do something before they execute. @throws DomainError if the caller's role does not suffice. */
export function authorize(entry: Pick<Command, 'name' | 'role'>, call: Execution): void {
  if (entry.role === 'viewer' || call.context?.role !== 'viewer') return;
  call.domain.audit.refused(traceOf(entry, call), 'not_allowed');
  throw new DomainError('not_allowed', `${entry.name} needs the token of an operator; this one is a viewer's.`);
}

function traceOf({ name }: Pick<Command, 'name'>, { arguments: given, context }: Execution): AuditEntry {
  return { ...(context?.caller ?? UNKNOWN_CALLER), command: name, arguments: argumentsText(given) };
}

const UNKNOWN_CALLER = { door: null, name: 'unknown', address: null, requestId: null };

async function checkAndRun<A extends TSchema, R extends TSchema>(
  entry: Command<A, R>,
  call: Execution,
): Promise<Answer<R>> {
  const { check } = entry;
  const own = check === undefined ? undefined : (members: Members) => check(call.domain, members);
  const arguments_ = call.isShort === true ? completed(entry, call) : call.arguments;
  refuseFindings(collectFindings(entry.arguments as JsonSchema, arguments_, own));
  return await entry.run(call.domain, arguments_ as Static<A>, call.context ?? {});
}

function completed({ name, short }: Pick<Command, 'name' | 'short'>, call: { domain: Domain; arguments: unknown }) {
  if (short === undefined) throw new TypeError(`${name} has no short form`);
  refuseFindings(collectFindings(short.arguments as JsonSchema, call.arguments));
  return short.complete(call.domain, call.arguments);
}
