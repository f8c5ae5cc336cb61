import type { Static, TSchema } from 'typebox';
import type { Command } from './command.ts';
import { Empty } from './schemas/common.ts';
import { EVENTS } from './schemas/events.ts';
import type { SchemaInfo } from './schemas/service.ts';
import type { JsonSchema } from './validate.ts';

/*
 * The answer of query-qmp-schema: a list of entities that refer to each other by name. Commands and events have their names. The name
 * of a type is a number, and types of equal structure have the same number. The name of an array is its element's name in brackets.
 */

type Info = Static<typeof SchemaInfo>;
type Member = Extract<Info, { readonly 'meta-type': 'object' }>['members'][number];
/** An entity without its name. */
type Shape = WithoutName<Info>;
type WithoutName<Entity> = Entity extends Info ? Omit<Entity, 'name'> : never;

/**
 * All commands and events, and the types that they use. Types are numbered in the order of their first use. `later` commands come
 * behind the events, so that a new command changes no number of an earlier type.
 */
export function introspect(first: readonly Command[], later: readonly Command[]): readonly Info[] {
  const types = new Types();
  types.nameOf(Empty);
  const entityOf = (entry: Command): Info => commandEntity(entry, types);
  const entities = first.map(entityOf);
  for (const [name, data] of EVENTS) {
    entities.push({ name, 'meta-type': 'event', 'arg-type': types.nameOf(data ?? Empty) });
  }
  return [...entities, ...later.map(entityOf), ...types.entities()];
}

function commandEntity({ name, qapi, arguments: taken, result }: Command, types: Types): Info {
  const features = qapi === null ? ['unstable'] : qapi.features;
  return {
    name,
    'meta-type': 'command',
    'arg-type': types.nameOf(qapi?.arguments ?? taken),
    'ret-type': types.nameOf(qapi?.returns === 'nothing' ? Empty : result),
    ...(qapi?.oob === true ? { 'allow-oob': true } : {}),
    ...(features === undefined ? {} : { features: [...features] }),
  };
}

type Builtin = readonly [name: string, jsonType: Extract<Info, { readonly 'meta-type': 'builtin' }>['json-type']];

const BUILTINS: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  ['string', ['str', 'string']],
  ['integer', ['int', 'int']],
  ['number', ['number', 'number']],
  ['boolean', ['bool', 'boolean']],
  ['null', ['null', 'null']],
]);
const ANY: Builtin = ['any', 'value'];

/** The types of the schema, by their structure. */
class Types {
  readonly #entities = new Map<string, Info>();
  /** Names of types by the `$id` of their schemas. */
  readonly #namesById = new Map<string, string>();
  #count = 0;

  entities(): Iterable<Info> {
    return this.#entities.values();
  }

  nameOf(schema: TSchema | JsonSchema): string {
    return this.#nameOf(schema as JsonSchema);
  }

  #nameOf(schema: JsonSchema): string {
    if (schema.$ref !== undefined) return this.#namesById.get(schema.$ref) as string;
    if (schema.anyOf !== undefined) return this.#unionOrAlternate(schema.anyOf);
    if (schema.enum !== undefined || schema.const !== undefined) return this.#enumeration(schema);
    if (schema.type === 'array') return this.#array(schema.items ?? {});
    if (schema.type === 'object' && schema.properties !== undefined) {
      return schema.$id === undefined
        ? this.#add({ 'meta-type': 'object', members: this.#members(schema) })
        : this.#recursive(schema, schema.$id);
    }
    const [name, jsonType] = BUILTINS.get(schema.type ?? '') ?? ANY;
    return this.#add({ 'meta-type': 'builtin', 'json-type': jsonType }, name);
  }

  /** An object with members of its own type. Its name is assigned before its members are described. */
  #recursive(schema: JsonSchema, id: string): string {
    const known = this.#namesById.get(id);
    if (known !== undefined) return known;
    const name = String(this.#count++);
    this.#namesById.set(id, name);
    return this.#add({ 'meta-type': 'object', members: this.#members(schema) }, name);
  }

  #array(items: JsonSchema): string {
    const element = this.#nameOf(items);
    return this.#add({ 'meta-type': 'array', 'element-type': element }, `[${element}]`);
  }

  #enumeration(schema: JsonSchema): string {
    const values = [...((schema.enum ?? [schema.const]) as readonly string[])];
    const featuresOf = schema['x-value-features'] ?? {};
    const members = values.map((name) => {
      const features = featuresOf[name];
      return { name, ...(features === undefined ? {} : { features: [...features] }) };
    });
    return this.#add({ 'meta-type': 'enum', members, values });
  }

  #members(schema: JsonSchema, leftOut: ReadonlySet<string> = new Set()): Member[] {
    return Object.entries(schema.properties ?? {})
      .filter(([name]) => !leftOut.has(name))
      .map(([name, member]) => this.#member(name, member, schema));
  }

  #member(name: string, member: JsonSchema, { required = [] }: JsonSchema): Member {
    const features = member['x-features'];
    return {
      name,
      type: this.#nameOf(member),
      ...(required.includes(name) ? {} : { default: null }),
      ...(features === undefined ? {} : { features: [...features] }),
    };
  }

  #unionOrAlternate(branches: readonly JsonSchema[]): string {
    const tag = tagOf(branches);
    if (tag !== undefined) return this.#union(branches, tag, new Set());
    const members = branches.map((branch) => ({ type: this.#nameOf(branch) }));
    return this.#add({ 'meta-type': 'alternate', members });
  }

  /** A union of objects with a constant member `tag`: the common members, and the further members of each value of `tag`. */
  #union(branches: readonly JsonSchema[], tag: string, above: ReadonlySet<string>): string {
    const values = [...new Set(branches.map((branch) => constantOf(branch, tag) as string))];
    const [first] = branches as [JsonSchema, ...JsonSchema[]];
    const common = Object.keys(first.properties ?? {}).filter(
      (name) => name !== tag && !above.has(name) && branches.every((branch) => hasSameMember(branch, first, name)),
    );
    const members = Object.keys(first.properties ?? {})
      .filter((name) => name === tag || common.includes(name))
      .map((name) => this.#member(name, name === tag ? { enum: values } : (first.properties?.[name] ?? {}), first));
    const leftOut = new Set([...above, tag, ...common]);
    const variants = values.map((value) => {
      const fitting = branches.filter((branch) => constantOf(branch, tag) === value);
      return { case: value, type: this.#variant(fitting, leftOut) };
    });
    // As in QEMU, values without further members come last.
    const empty = this.nameOf(Empty);
    const ordered = [
      ...variants.filter(({ type }) => type !== empty),
      ...variants.filter(({ type }) => type === empty),
    ];
    return this.#add({ 'meta-type': 'object', members, tag, variants: ordered });
  }

  #variant(branches: readonly JsonSchema[], leftOut: ReadonlySet<string>): string {
    const [only] = branches as [JsonSchema, ...JsonSchema[]];
    if (branches.length === 1) return this.#add({ 'meta-type': 'object', members: this.#members(only, leftOut) });
    const tag = tagOf(branches, leftOut);
    if (tag === undefined) throw new TypeError('no constant member distinguishes the branches of a union');
    return this.#union(branches, tag, leftOut);
  }

  #add(shape: Shape, given?: string): string {
    const key = given ?? JSON.stringify(shape);
    const known = this.#entities.get(key);
    if (known !== undefined) return known.name;
    const name = given ?? String(this.#count++);
    this.#entities.set(key, { name, ...shape });
    return name;
  }
}

/** A member that has a constant in every branch. */
function tagOf(branches: readonly JsonSchema[], leftOut: ReadonlySet<string> = new Set()): string | undefined {
  if (branches.some(({ type }) => type !== 'object')) return undefined;
  return Object.keys(branches[0]?.properties ?? {}).find(
    (name) => !leftOut.has(name) && branches.every((branch) => constantOf(branch, name) !== undefined),
  );
}

function constantOf(branch: JsonSchema, name: string): unknown {
  return branch.properties?.[name]?.const;
}

function hasSameMember(branch: JsonSchema, other: JsonSchema, name: string): boolean {
  const [one, two] = [branch, other].map(({ properties, required = [] }) =>
    JSON.stringify([properties?.[name] ?? null, required.includes(name)]),
  );
  return one === two;
}
