import type { Static, TSchema } from 'typebox';
import type { AuditEntry } from '../domain/audit.ts';
import type { Domain } from '../domain/domain.ts';
import { DomainError } from '../domain/errors.ts';
import { JsonFraction, stringifyJson } from '../text/json.ts';
import { type Answer, type Command, type CommandContext, DoorError, type Members } from './command.ts';
import { collectFindings, refuseFindings } from './findings.ts';
import type { JsonSchema } from './validate.ts';

type Execution = {
  readonly domain: Domain;
  readonly arguments: unknown;
  readonly context?: CommandContext;
  /** True if the arguments have the command's short form. */
  readonly isShort?: boolean;
};

/**
 * Checks the caller's role and the arguments, and runs the command. The audit trail records the start and the outcome of each
 * command that needs an operator, and each refusal of a viewer.
 * @throws DomainError, with every violation, if the caller or the arguments are refused, or if the command fails; DoorError
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
    if (entry.begins === true && call.context?.yieldToOthers !== undefined) await call.context.yieldToOthers();
    const result = await checkAndRun(entry, call);
    trace.end(null);
    return result;
  } catch (error) {
    trace.end(error instanceof DomainError || error instanceof DoorError ? error.code : 'internal_error');
    throw error;
  }
}

/**
 * Records in the audit trail a request that was refused before `execute`, as the command would have recorded it. A request of a
 * viewer is recorded as a refusal.
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

/** Checks the caller's role alone, before other checks of a request. @throws DomainError if the role is not sufficient */
export function authorize(entry: Pick<Command, 'name' | 'role'>, call: Execution): void {
  if (entry.role === 'viewer' || call.context?.role !== 'viewer') return;
  call.domain.audit.refused(traceOf(entry, call), 'not_allowed');
  throw new DomainError(
    'not_allowed',
    `${entry.name} requires a token with the role operator; this token has the role viewer.`,
  );
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

/** Characters of a command's arguments that the audit trail keeps. */
export const ARGUMENTS_LENGTH_MAX = 2048;
const CUT = '…';
const HIDDEN = '(not kept)';
/** Names of members whose values are not recorded. No command has such a member today. */
const SECRET = /password|passphrase|secret|token|private-key|credential/i;

/** Arguments as the audit trail keeps them: exact JSON text, shortened, and without secrets. */
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
