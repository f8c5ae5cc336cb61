import type { Static, TSchema } from 'typebox';
import type { AuditEntry } from '../domain/audit.ts';
import type { Domain } from '../domain/domain.ts';
import { DomainError } from '../domain/errors.ts';
import { JsonFraction, stringifyJson } from '../text/json.ts';
import type { Answer, Command, CommandContext, Members } from './command.ts';
import { DoorError } from './door-errors.ts';
import { collectFindings, refuseFindings } from './findings.ts';
import type { JsonSchema } from './validate.ts';

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

/* The arguments of a command as the audit trail keeps them: exact JSON text, cut, and without what is secret. */

/** Characters that are kept of them. */
export const ARGUMENTS_LENGTH_MAX = 2048;
const CUT = '…';
const HIDDEN = '(not kept)';
/** No command of today takes a secret; one whose member is named like this will not be the first to show it. */
const SECRET = /password|passphrase|secret|token|private-key|credential/i;

/** Text of arguments of any shape. */
export function argumentsText(given: unknown): string {
  const text = stringifyJson(given === undefined ? {} : withoutSecrets(given));
  return text.length > ARGUMENTS_LENGTH_MAX ? `${text.slice(0, ARGUMENTS_LENGTH_MAX - CUT.length)}${CUT}` : text;
}

function withoutSecrets(value: unknown): unknown {
  if (value instanceof JsonFraction) return value.value;
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, SECRET.test(name) ? HIDDEN : withoutSecrets(member)]),
  );
}
