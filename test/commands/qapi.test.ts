import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/commands/command-table.ts';
import { introspect } from '../../src/commands/introspection.ts';

/*
 * test/fixtures/qapi/introspection.json is what QEMU 10.0 answers to query-qmp-schema, as far as migration, snapshots,
 * jobs and the monitor go. What is compared here are the types behind the names, since numbers of types mean nothing.
 */

type Entity = Readonly<Record<string, unknown>> & { readonly name: string; readonly 'meta-type': string };
type Member = {
  readonly name: string;
  readonly type: string;
  readonly default?: unknown;
  readonly features?: readonly string[];
};

const FIXTURE = new URL('../fixtures/qapi/introspection.json', import.meta.url);
const qemu = byName(JSON.parse(readFileSync(FIXTURE, 'utf8')) as Entity[]);
const own = byName(introspect([...COMMANDS.values()], []) as unknown as Entity[]);

/** Aliases of older schemas that QEMU 10.0 no longer has. */
const LEGACY = ['migrate-set-cache-size', 'migrate_set_downtime', 'migrate_set_speed', 'query-migrate-cache-size'];
/** An event with additional members in QEMU; it is not in the fixture. */
const NOT_IN_FIXTURE = ['GUEST_PANICKED'];

/** In the fixture for the types that they share with others: of bitmaps, of displays and of objects, which are not here. */
const ELSEWHERE = ['block-dirty-bitmap-add', 'block-dirty-bitmap-remove', 'client_migrate_info', 'object-del'];

function byName(entities: readonly Entity[]): ReadonlyMap<string, Entity> {
  const map = new Map(entities.map((entity) => [entity.name, entity]));
  expect(map.size).toBe(entities.length);
  return map;
}

/** A type written out: members by name with their types, optional marks and features, enum values in order. */
function writtenOut(schema: ReadonlyMap<string, Entity>, name: string, outer: readonly string[] = []): unknown {
  const entity = schema.get(name);
  if (entity === undefined) throw new Error(`no entity is called ${name}`);
  if (outer.includes(name)) return { sameAs: outer.length - outer.indexOf(name) };
  const write = (inner: string): unknown => writtenOut(schema, inner, [...outer, name]);
  switch (entity['meta-type']) {
    case 'builtin':
      return entity['json-type'];
    case 'enum':
      return { values: entity.values, members: entity.members };
    case 'array':
      return [write(entity['element-type'] as string)];
    case 'alternate':
      return { alternatives: (entity.members as Member[]).map(({ type }) => write(type)) };
    case 'object':
      return { members: members(write, entity), tag: entity.tag, variants: variants(write, entity) };
    default:
      return {
        arguments: write(entity['arg-type'] as string),
        result: entity['ret-type'] === undefined ? undefined : write(entity['ret-type'] as string),
        features: entity.features,
        oob: entity['allow-oob'],
      };
  }
}

type Write = (name: string) => unknown;

function members(write: Write, entity: Entity): unknown {
  return Object.fromEntries(
    (entity.members as Member[]).map(({ name, type, features, ...rest }) => [
      'default' in rest ? `${name}?` : name,
      { type: write(type), features },
    ]),
  );
}

function variants(write: Write, { variants: list }: Entity): unknown {
  const cases = list as readonly { readonly case: string; readonly type: string }[] | undefined;
  return cases?.map((one) => ({ case: one.case, is: write(one.type) }));
}

function namesOf(schema: ReadonlyMap<string, Entity>, metaType: string): string[] {
  return [...schema.values()].filter((entity) => entity['meta-type'] === metaType).map(({ name }) => name);
}

const shared = ['command', 'event'].flatMap((metaType) =>
  namesOf(own, metaType).filter((name) => qemu.get(name)?.['meta-type'] === metaType),
);

describe('the command table', () => {
  test('marks exactly the commands of QAPI as such', () => {
    for (const { name, qapi } of COMMANDS.values()) {
      expect(name.startsWith('x-ferry-'), name).toBe(qapi === null);
      if (qapi !== null && !LEGACY.includes(name)) expect(qemu.has(name), name).toBe(true);
    }
    const unknownEvents = namesOf(own, 'event').filter((name) => !qemu.has(name));
    expect(unknownEvents).toEqual(NOT_IN_FIXTURE);
  });

  test('contains all commands of QEMU 10.0 for migration, snapshots, jobs and the monitor', () => {
    for (const metaType of ['command', 'event']) {
      const missing = namesOf(qemu, metaType).filter((name) => own.get(name)?.['meta-type'] !== metaType);
      expect(missing.sort()).toEqual(metaType === 'command' ? ELSEWHERE : []);
    }
  });

  test.each(shared)('%s has the members, types, optional marks, values and features of QEMU 10.0', (name) => {
    expect(writtenOut(own, name)).toEqual(writtenOut(qemu, name));
  });

  test('contains the aliases of older schemas, marked as deprecated', () => {
    for (const name of LEGACY) expect(own.get(name)?.features, name).toEqual(['deprecated']);
    expect(writtenOut(own, 'query-migrate-cache-size')).toMatchObject({ result: 'int' });
    expect(writtenOut(own, 'migrate_set_downtime')).toMatchObject({
      arguments: { members: { value: { type: 'number' } } },
    });
  });
});

describe('query-qmp-schema', () => {
  test('refers only to existing entities, and uses every type', () => {
    const used = new Set<string>();
    for (const entity of own.values()) {
      const places = [
        entity['arg-type'],
        entity['ret-type'],
        entity['element-type'],
        ...((entity.members ?? []) as Partial<Member>[]).map(({ type }) => type),
        ...((entity.variants ?? []) as { readonly type: string }[]).map(({ type }) => type),
      ];
      for (const place of places) if (typeof place === 'string') used.add(place);
    }
    expect([...used].filter((name) => !own.has(name))).toEqual([]);
    const types = [...own.values()].filter(({ 'meta-type': kind }) => kind !== 'command' && kind !== 'event');
    expect(types.map(({ name }) => name).filter((name) => !used.has(name))).toEqual([]);
  });

  test('describes the union of addresses with its tag, its variants, and the union inside it', () => {
    expect(writtenOut(own, 'migrate')).toMatchObject({
      arguments: { members: { 'channels?': { type: [{ members: { addr: { type: { tag: 'transport' } } } }] } } },
    });
  });
});
