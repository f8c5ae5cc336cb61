import type { ErrorCode, Violation } from '../domain/errors.ts';
import { VIOLATIONS_MAX } from '../domain/settings/violations.ts';
import { JsonFraction } from '../text/json.ts';
import { MOMENT_FORM, readMoment } from '../text/moment.ts';
import { nearest } from '../text/nearest.ts';

/*
 * Checks a value against the part of JSON Schema that the commands use, and reports all violations. No library is used, because
 * integers may be bigints, `1.0` is not an integer, and each violation needs a sentence with the value and the allowed values.
 */

/** The keywords that the schemas of the commands use. */
export type JsonSchema = {
  readonly type?: string;
  /** Name of a type with members of its own type, which refer to it with `$ref`; only in results. */
  readonly $id?: string;
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number | bigint;
  readonly maximum?: number | bigint;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** Only `date-time` is checked. */
  readonly format?: string;
  readonly maxItems?: number;
  /** Error code for a value that is not in `enum`; default: `value_out_of_range`. */
  readonly 'x-refused-as'?: ErrorCode;
  /** QAPI's features of a member, and of the values of an `enum`. */
  readonly 'x-features'?: readonly string[];
  readonly 'x-value-features'?: Readonly<Record<string, readonly string[]>>;
};

export type Finding = Violation & { readonly code: ErrorCode };

const SHOWN_LENGTH_MAX = 60;
const INTEGER_MAX = 2n ** 64n - 1n;
const INTEGER_MIN = -(2n ** 63n);

/** All violations of `value`, up to `VIOLATIONS_MAX`. */
export function validate(schema: JsonSchema, value: unknown): readonly Finding[] {
  const findings: Finding[] = [];
  walk({ schema, value, pointer: '' }, findings);
  return findings;
}

type Place = { readonly schema: JsonSchema; readonly value: unknown; readonly pointer: string };

function walk(place: Place, findings: Finding[]): void {
  if (findings.length >= VIOLATIONS_MAX) return;
  const { schema, value } = place;
  if (schema.anyOf !== undefined) walkUnion(place, schema.anyOf, findings);
  else if (schema.const !== undefined || schema.enum !== undefined) walkChoice(place, findings);
  else if (schema.type !== undefined && !isOfType(schema.type, value)) {
    report(findings, place, { code: 'wrong_type', reason: `must be ${article(schema.type)}, not ${show(value)}` });
  } else if (schema.type === 'object') walkObject(place, value as Record<string, unknown>, findings);
  else if (schema.type === 'array') walkArray(place, value as unknown[], findings);
  else if (schema.type === 'string') walkString(place, value as string, findings);
  else if (schema.type === 'integer') walkInteger(place, value as number | bigint, findings);
}

function walkObject(place: Place, value: Record<string, unknown>, findings: Finding[]): void {
  const { schema, pointer } = place;
  const properties = schema.properties ?? {};
  const names = Object.keys(properties);
  const list = names.length === 0 ? '; no member is allowed' : `; the known members are ${names.join(', ')}`;
  for (const name of Object.keys(value)) {
    // The list of violations is full.
    if (findings.length >= VIOLATIONS_MAX) return;
    const known = Object.hasOwn(properties, name) ? properties[name] : schema.additionalProperties;
    if (known === undefined || known === true) continue;
    const at = `${pointer}/${escapePointer(name)}`;
    if (known === false) {
      report(
        findings,
        { ...place, pointer: at },
        { code: 'unknown_member', reason: `is unknown${suggestion(name, names)}${list}` },
      );
    } else walk({ schema: known, value: value[name], pointer: at }, findings);
  }
  for (const name of schema.required ?? []) {
    if (Object.hasOwn(value, name)) continue;
    const at = `${pointer}/${escapePointer(name)}`;
    report(findings, { ...place, pointer: at }, { code: 'missing_member', reason: 'is missing' });
  }
}

function walkArray(place: Place, value: readonly unknown[], findings: Finding[]): void {
  const { schema, pointer } = place;
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    const reason = `has ${value.length} elements; at most ${schema.maxItems} are allowed`;
    report(findings, place, { code: 'value_out_of_range', reason });
    return;
  }
  if (schema.items === undefined) return;
  for (const [index, item] of value.entries()) {
    if (findings.length >= VIOLATIONS_MAX) return;
    walk({ schema: schema.items, value: item, pointer: `${pointer}/${index}` }, findings);
  }
}

function walkString(place: Place, value: string, findings: Finding[]): void {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = place.schema;
  if (place.schema.format === 'date-time' && readMoment(value) === null) {
    report(findings, place, { code: 'wrong_type', reason: `must be ${MOMENT_FORM}, not ${show(value)}` });
    return;
  }
  if (value.length >= minLength && value.length <= maxLength) return;
  const reason = `has ${value.length} characters; ${minLength} to ${maxLength} are allowed`;
  report(findings, place, { code: 'value_out_of_range', reason });
}

function walkInteger(place: Place, value: number | bigint, findings: Finding[]): void {
  const { minimum = INTEGER_MIN, maximum = INTEGER_MAX } = place.schema;
  if (value >= minimum && value <= maximum) return;
  report(findings, place, {
    code: 'value_out_of_range',
    reason: `must be from ${minimum} to ${maximum}, not ${value}`,
  });
}

function walkChoice(place: Place, findings: Finding[]): void {
  const { schema, value } = place;
  const allowed = schema.enum ?? [schema.const];
  if (allowed.includes(value)) return;
  const sameType = allowed.some((choice) => typeof choice === typeof value);
  const reason = `must be one of ${allowed.map(show).join(', ')}, not ${show(value)}${suggestion(value, allowed)}`;
  const refusedAs = schema['x-refused-as'] ?? 'value_out_of_range';
  report(findings, place, { code: sameType ? refusedAs : 'wrong_type', reason });
}

/** Checks a union of objects that constant members (`type`, `transport`) distinguish, or of plain types. */
function walkUnion(place: Place, branches: readonly JsonSchema[], findings: Finding[]): void {
  const { value, pointer } = place;
  if (!isOfType('object', value) || branches.some((branch) => branch.type !== 'object')) {
    if (branches.some((schema) => validate(schema, value).length === 0)) return;
    const types = branches.map((branch) => article(branch.type ?? 'one of several values')).join(' or ');
    report(findings, place, { code: 'wrong_type', reason: `must be ${types}, not ${show(value)}` });
    return;
  }
  let candidates = branches;
  const seen = new Set<string>();
  for (let tag = nextTag(candidates, seen); tag !== undefined; tag = nextTag(candidates, seen)) {
    seen.add(tag);
    const fitting = candidates.filter((branch) => constantOf(branch, tag) === (value as Record<string, unknown>)[tag]);
    if (fitting.length === 0) {
      const choices = [...new Set(candidates.map((branch) => constantOf(branch, tag)))];
      const at = `${pointer}/${escapePointer(tag)}`;
      const given = (value as Record<string, unknown>)[tag];
      if (given === undefined)
        report(findings, { ...place, pointer: at }, { code: 'missing_member', reason: 'is missing' });
      else walk({ schema: { enum: choices }, value: given, pointer: at }, findings);
      return;
    }
    candidates = fitting;
  }
  if (candidates[0] !== undefined) walk({ ...place, schema: candidates[0] }, findings);
}

/** Name of a member that is constant in every branch and has not been checked yet. */
function nextTag(branches: readonly JsonSchema[], seen: ReadonlySet<string>): string | undefined {
  return Object.keys(branches[0]?.properties ?? {}).find(
    (name) => !seen.has(name) && branches.every((branch) => constantOf(branch, name) !== undefined),
  );
}

function constantOf(branch: JsonSchema, name: string): unknown {
  return branch.properties?.[name]?.const;
}

function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonFraction);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return typeof value === 'bigint' || Number.isInteger(value);
    case 'number':
      return typeof value === 'bigint' || typeof value === 'number' || value instanceof JsonFraction;
    case 'null':
      return value === null;
    default:
      return typeof value === type;
  }
}

function report(findings: Finding[], place: Place, found: Omit<Finding, 'pointer'>): void {
  if (findings.length < VIOLATIONS_MAX) findings.push({ pointer: place.pointer, ...found });
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'an array';
  if (value instanceof JsonFraction) return `the fraction ${value.value}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value.slice(0, SHOWN_LENGTH_MAX + 1)) : String(value);
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}

function article(type: string): string {
  if (type === 'null') return 'null';
  return `${/^[aeio]/.test(type) ? 'an' : 'a'} ${type}`;
}

/** ` (did you mean X?)` if a known name is similar, otherwise an empty text. */
function suggestion(given: unknown, names: readonly unknown[]): string {
  if (typeof given !== 'string') return '';
  const found = nearest(
    given,
    names.filter((name) => typeof name === 'string'),
  );
  return found === null ? '' : ` (did you mean ${found}?)`;
}

/** A token of a JSON pointer (RFC 6901); a long name is shortened. */
export function escapePointer(name: string): string {
  const shown = name.length > SHOWN_LENGTH_MAX ? `${name.slice(0, SHOWN_LENGTH_MAX)}…` : name;
  return shown.replaceAll('~', '~0').replaceAll('/', '~1');
}
