import { DomainError, type ErrorCode } from '../domain/errors.ts';
import type { TimeRange } from '../domain/ports/store.ts';
import { VIOLATIONS_MAX } from '../domain/settings/violations.ts';
import { readMoment } from '../text/moment.ts';
import { escapePointer, type Finding, type JsonSchema, validate } from './validate.ts';

/* Violations of a command's arguments: those of the schema, those of the command's own check, and impossible time ranges. */

/** A command's own check. @throws DomainError with violations */
type OwnCheck = (members: Readonly<Record<string, unknown>>) => void;

const OUT_OF_RANGE: ErrorCode = 'value_out_of_range';

/**
 * Violations of the schema, and violations that the command's own check finds in the well-formed members. If both report a range
 * violation of the same member, the command's is kept, because it names the exact range.
 */
export function collectFindings(schema: JsonSchema, value: unknown, own?: OwnCheck): readonly Finding[] {
  const found = validate(schema, value);
  if (found.length === 0 || own === undefined || !isObject(value)) return found;
  const malformed = found.filter(({ code }) => code !== OUT_OF_RANGE);
  // The list of violations is full, so the command's check is skipped.
  if (found.length >= VIOLATIONS_MAX) return found;
  const leftOut = new Set(malformed.map(({ pointer }) => pointer));
  const members = Object.fromEntries(Object.entries(value).filter(([name]) => !leftOut.has(`/${escapePointer(name)}`)));
  const more = findingsOf(own, members).filter(
    ({ pointer }) => !malformed.some((one) => overlap(one.pointer, pointer)),
  );
  const kept = found.filter((one) => !more.some(({ pointer }) => overlap(one.pointer, pointer)));
  return [...kept, ...more].slice(0, VIOLATIONS_MAX);
}

/**
 * @throws DomainError with all findings, if there are any. Its code is that of the first malformed member (unknown, missing or of
 * the wrong type), or else of the first value out of range
 */
export function refuseFindings(findings: readonly Finding[]): void {
  const first = findings.find(({ code }) => code !== OUT_OF_RANGE) ?? findings[0];
  if (first === undefined) return;
  const others = findings.length - 1;
  const count = findings.length < VIOLATIONS_MAX ? others : `at least ${others}`;
  const more = others > 0 ? ` (and ${count} more, see errors)` : '';
  const where = first.pointer === '' ? 'The body' : `Member ${first.pointer}`;
  const sentence = first.reason.endsWith('.') ? first.reason.slice(0, -1) : `${where} ${first.reason}`;
  const violations = findings.map(({ pointer, reason }) => ({ pointer, reason }));
  throw new DomainError(first.code, `${sentence}${more}.`, { violations });
}

/** Violations of the command's own check. They count as range violations, so that a malformed member still decides the code. */
function findingsOf(own: OwnCheck, members: Readonly<Record<string, unknown>>): readonly Finding[] {
  try {
    own(members);
    return [];
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return error.violations.map((violation) => ({ ...violation, code: OUT_OF_RANGE }));
  }
}

/** True if one pointer is equal to the other, or inside it. */
function overlap(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type Bounds = { readonly 'started-after'?: string; readonly 'started-before'?: string };

/**
 * Converts the time range of a list's query for the store. The schema has checked the form of the times.
 * @throws DomainError for an empty range
 */
export function timeRangeOf({ 'started-after': after, 'started-before': before }: Bounds): TimeRange {
  const [startedAfter, startedBefore] = [after, before].map((text) => (text === undefined ? null : readMoment(text)));
  if (startedAfter != null && startedBefore != null && startedAfter >= startedBefore) {
    const reason = `must be earlier than started-before, ${before}, not ${after}`;
    const violations = [{ pointer: '/started-after', reason }];
    throw new DomainError('value_out_of_range', `Member /started-after ${reason}.`, { violations });
  }
  return {
    ...(startedAfter == null ? {} : { startedAfter }),
    ...(startedBefore == null ? {} : { startedBefore }),
  };
}
