import { type BitmapNodeAlias, excludes, type SettingsGroup } from '../declaration.ts';
import { pointerTo, shown, type Violations } from '../violations.ts';

/* Memory and disks in files: a file with a place for each page, shared memory, and the dirty bitmaps of disks. */

/** Longest name or alias, in bytes: the stream holds its length in one byte. */
const NAME_BYTES_MAX = 255;
/** Most entries of the mapping, and most bitmaps of one node. */
const ENTRIES_MAX = 1024;

const WELL_FORMED = /^[A-Za-z][A-Za-z0-9._-]*$/;

export const STORAGE = {
  capabilities: {
    'mapped-ram': {
      isAvailable: false,
      rules: [excludes('mapped-ram', 'xbzrle'), excludes('mapped-ram', 'postcopy-ram')],
    },
    'x-ignore-shared': { isAvailable: false, features: ['unstable'] },
    'dirty-bitmaps': { isAvailable: false },
  },
  parameters: {
    'direct-io': { type: 'bool', default: false, available: [false] },
    'block-bitmap-mapping': { type: 'bitmap-mapping', default: null, check: checkBitmapMapping },
  },
} as const satisfies SettingsGroup;

/** Checks the shape of block-bitmap-mapping, the lengths of its names, and that no name or alias occurs twice. */
function checkBitmapMapping(value: unknown, violations: Violations): readonly BitmapNodeAlias[] {
  const at = ['block-bitmap-mapping'];
  if (!isList(value, at, violations)) return [];
  const nodes = value.map((entry, index) => checkNode(entry, [...at, index], violations));
  checkUnique(nodes, 'node-name', at, violations);
  checkUnique(nodes, 'alias', at, violations);
  return nodes as unknown as BitmapNodeAlias[];
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
      `${shown(name)} is not known here; ${names.join(', ')} are.`,
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
