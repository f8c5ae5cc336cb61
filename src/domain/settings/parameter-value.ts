import { parseSize } from '../../text/size.ts';
import type { BitmapNodeAlias, ParameterValue } from './declaration.ts';
import { parameterDeclaration } from './declared-settings.ts';
import type { ParameterName } from './schema-order.ts';
import { pointerTo, shown, type Violations } from './violations.ts';

const UINT64_MAX = 2n ** 64n - 1n;

/** Checks one value against its type and range. @returns the value to keep; null if a violation was added. */
export function checkParameterValue(
  name: ParameterName,
  value: unknown,
  violations: Violations,
): ParameterValue | null {
  const definition = parameterDeclaration(name);
  switch (definition.type) {
    case 'bool':
      if (typeof value === 'boolean') return value;
      return refuse('wrong_type', `${name} is ${shown(value)}; it has to be true or false.`);
    case 'string-or-null':
      if (value === null) return '';
      if (typeof value === 'string') return value;
      return refuse('wrong_type', `${name} is ${shown(value)}; it has to be a string or null.`);
    case 'enum':
      if (typeof value !== 'string') return refuse('wrong_type', `${name} is ${shown(value)}; it has to be a string.`);
      if (definition.values.includes(value)) return value;
      return refuse('value_out_of_range', `${name} is ${shown(value)}; ${definition.values.join(', ')} are allowed.`);
    case 'bitmap-mapping':
      return checkBitmapMapping(value, violations);
    default: {
      if (!isInteger(value)) return refuse('wrong_type', `${name} is ${shown(value)}; it has to be an integer.`);
      if (isInexact(value))
        return refuse('value_out_of_range', `${name} is ${value}; at most ${UINT64_MAX} is allowed.`);
      const exact = BigInt(value);
      if (exact >= definition.min && exact <= definition.max) return fromBigInt(exact);
      const unit = definition.unit === null ? '' : ` ${definition.unit}`;
      const range = `from ${definition.min} to ${definition.max}${unit}`;
      return refuse('value_out_of_range', `${name} is ${value}; it may be ${range}.`);
    }
  }

  function refuse(code: 'wrong_type' | 'value_out_of_range', reason: string): null {
    violations.add(code, pointerTo(name), reason);
    return null;
  }
}

/**
 * The value of a text of the command line: sizes are read by `src/text/size.ts`, integers may be hexadecimal (0x…), and
 * a bool is on or off.
 * @returns the text itself if it is not a value of the type: the check refuses it.
 */
export function parseParameterText(name: ParameterName, text: string): unknown {
  const definition = parameterDeclaration(name);
  if (definition.type === 'bool') return SWITCHES.get(text) ?? text;
  if (definition.type === 'enum' || definition.type === 'string-or-null') return text;
  if (definition.type === 'bitmap-mapping') return text;
  const size = definition.type === 'size' ? parseSize(text, 'B') : null;
  if (typeof size === 'bigint') return fromBigInt(size);
  const [, sign, digits] = INTEGER_TEXT.exec(text) ?? [];
  if (digits === undefined) return text;
  return fromBigInt(sign === '-' ? -BigInt(digits) : BigInt(digits));
}

/** An integer with more digits is outside every range; it stays a text, which the check refuses. */
const INTEGER_TEXT = /^(-?)(0x[0-9a-fA-F]{1,64}|\d{1,64})$/;
const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ['on', true],
  ['true', true],
  ['yes', true],
  ['off', false],
  ['false', false],
  ['no', false],
]);

function isInteger(value: unknown): value is number | bigint {
  // JSON such as 1e400 is read as Infinity: the value is out of range, and its type is right.
  return typeof value === 'bigint' || (typeof value === 'number' && (Number.isInteger(value) || isInfinite(value)));
}

function isInexact(value: number | bigint): value is number {
  return typeof value === 'number' && !Number.isSafeInteger(value) && value > 0;
}

function isInfinite(value: number): boolean {
  return value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY;
}

function fromBigInt(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Longest name or alias, in bytes: the stream holds its length in one byte. */
const NAME_BYTES_MAX = 255;
/** Most entries of the mapping, and most bitmaps of one node. */
const ENTRIES_MAX = 1024;

const WELL_FORMED = /^[A-Za-z][A-Za-z0-9._-]*$/;

/** Checks the shape of block-bitmap-mapping, the lengths of its names, and that no name or alias occurs twice. */
function checkBitmapMapping(value: unknown, violations: Violations): readonly BitmapNodeAlias[] {
  const at = ['block-bitmap-mapping'];
  if (!isList(value, at, violations)) return [];
  const nodes = value.map((entry, index) => checkNode(entry, [...at, index], violations));
  checkUnique(nodes, 'node-name', at, violations);
  checkUnique(nodes, 'alias', at, violations);
  return nodes.filter(isBitmapNode);
}

/** True if the checks above have found no violation in the form of the entry. */
function isBitmapNode(entry: Members): entry is Members & BitmapNodeAlias {
  const { alias, bitmaps } = entry;
  return typeof entry['node-name'] === 'string' && typeof alias === 'string' && Array.isArray(bitmaps);
}

type Path = readonly (string | number)[];
type Members = Readonly<Record<string, unknown>>;

function checkNode(entry: unknown, at: Path, violations: Violations): Members {
  const members = checkMembers(entry, { at, names: ['node-name', 'alias', 'bitmaps'], violations });
  if (members === null) return {};
  checkName(members['node-name'], [...at, 'node-name'], violations);
  checkName(members.alias, [...at, 'alias'], violations);
  if (typeof members.alias === 'string' && !WELL_FORMED.test(members.alias)) {
    const reason = `${shown(members.alias)} is not an alias: a letter, then letters, digits, '-', '.' and '_'.`;
    violations.add('value_out_of_range', pointerTo(...at, 'alias'), reason);
  }
  const bitmapsAt = [...at, 'bitmaps'];
  if (isList(members.bitmaps, bitmapsAt, violations)) {
    const bitmaps = members.bitmaps.map((bitmap, index) => checkBitmap(bitmap, [...bitmapsAt, index], violations));
    checkUnique(bitmaps, 'name', bitmapsAt, violations);
    checkUnique(bitmaps, 'alias', bitmapsAt, violations);
  }
  return members;
}

function checkBitmap(entry: unknown, at: Path, violations: Violations): Members {
  const members = checkMembers(entry, { at, names: ['name', 'alias', 'transform'], violations });
  if (members === null) return {};
  checkName(members.name, [...at, 'name'], violations);
  checkName(members.alias, [...at, 'alias'], violations);
  if (members.transform === undefined) return members;
  const transform = checkMembers(members.transform, { at: [...at, 'transform'], names: ['persistent'], violations });
  if (transform?.persistent !== undefined && typeof transform.persistent !== 'boolean') {
    const reason = `persistent is ${shown(transform.persistent)}; it has to be true or false.`;
    violations.add('wrong_type', pointerTo(...at, 'transform', 'persistent'), reason);
  }
  return members;
}

function checkMembers(
  value: unknown,
  { at, names, violations }: { at: Path; names: readonly string[]; violations: Violations },
): Members | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    violations.add('wrong_type', pointerTo(...at), `${shown(value)} has to be an object.`);
    return null;
  }
  for (const name of Object.keys(value)) {
    if (names.includes(name)) continue;
    violations.add(
      'unknown_member',
      pointerTo(...at, name),
      `${shown(name)} is unknown; the known members are ${names.join(', ')}.`,
    );
  }
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));
}

function checkName(value: unknown, at: Path, violations: Violations): void {
  if (typeof value !== 'string') {
    violations.add('wrong_type', pointerTo(...at), `${at.at(-1)} is ${shown(value)}; it has to be a string.`);
  } else if (byteLength(value) > NAME_BYTES_MAX) {
    const reason = `${at.at(-1)} is longer than ${NAME_BYTES_MAX} bytes.`;
    violations.add('value_out_of_range', pointerTo(...at), reason);
  }
}

function isList(value: unknown, at: Path, violations: Violations): value is readonly unknown[] {
  if (!Array.isArray(value)) {
    violations.add('wrong_type', pointerTo(...at), `${at.at(-1)} is ${shown(value)}; it has to be an array.`);
    return false;
  }
  if (value.length > ENTRIES_MAX) {
    violations.add('value_out_of_range', pointerTo(...at), `${at.at(-1)} has more than ${ENTRIES_MAX} entries.`);
    return false;
  }
  return true;
}

function checkUnique(entries: readonly Members[], member: string, at: Path, violations: Violations): void {
  const seen = new Set<unknown>();
  for (const [index, entry] of entries.entries()) {
    const value = entry[member];
    if (typeof value !== 'string') continue;
    if (seen.has(value)) {
      violations.add('value_out_of_range', pointerTo(...at, index, member), `${member} ${shown(value)} occurs twice.`);
    }
    seen.add(value);
  }
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
