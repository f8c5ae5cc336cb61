// The named schemas of the OpenAPI document. A schema is recognised by its JSON text.

import * as common from '../../src/commands/schemas/common.ts';
import * as dirtyRate from '../../src/commands/schemas/dirty-rate.ts';
import * as events from '../../src/commands/schemas/events.ts';
import * as history from '../../src/commands/schemas/history.ts';
import * as jobs from '../../src/commands/schemas/jobs.ts';
import * as machine from '../../src/commands/schemas/machine.ts';
import * as migrate from '../../src/commands/schemas/migrate.ts';
import * as replication from '../../src/commands/schemas/replication.ts';
import * as service from '../../src/commands/schemas/service.ts';
import * as settings from '../../src/commands/schemas/settings.ts';
import * as snapshots from '../../src/commands/schemas/snapshots.ts';

export type Json = Record<string, unknown>;

const FAMILIES = [
  common,
  dirtyRate,
  events,
  history,
  jobs,
  machine,
  migrate,
  settings,
  service,
  snapshots,
  replication,
];
const TYPE_NAME = /^[A-Z]\w*[a-z]/;
const REFERENCE = /"#\/components\/schemas\/(\w+)"/g;

/** Names every schema of the command table. Other schemas can be added. */
export class SchemaNames {
  readonly #names = new Map<string, string>();
  readonly #schemas = new Map<string, Json>();

  constructor() {
    for (const family of FAMILIES) {
      for (const [name, schema] of Object.entries(family as Json)) {
        if (TYPE_NAME.test(name) && typeof schema === 'object' && schema !== null) this.add(name, schema as Json);
      }
    }
    for (const [name, schema] of Object.entries(settings.PARAMETER_ENUMERATIONS)) this.add(name, schema as Json);
  }

  /** Names a schema. A schema that has a name keeps it. @throws Error if the name belongs to another schema */
  add(name: string, schema: Json): void {
    const text = JSON.stringify(schema);
    if (this.#names.has(text)) return;
    if (this.#schemas.has(name)) throw new Error(`two schemas have the name ${name}`);
    this.#names.set(text, name);
    this.#schemas.set(name, JSON.parse(text) as Json);
  }

  /** @returns the schema with a reference in place of every named schema */
  referenced(schema: unknown): unknown {
    if (typeof schema !== 'object' || schema === null) return schema;
    if (Array.isArray(schema)) return schema.map((item) => this.referenced(item));
    const name = this.#names.get(JSON.stringify(schema));
    return name === undefined ? this.#mapMembers(schema as Json) : { $ref: `#/components/schemas/${name}` };
  }

  /** @returns the named schemas that `paths` refers to, directly or indirectly, sorted by name */
  usedBy(paths: Json): Json {
    const used = new Map<string, Json>();
    const follow = (part: unknown): void => {
      for (const [, name = ''] of JSON.stringify(part).matchAll(REFERENCE)) {
        const schema = this.#schemas.get(name);
        if (schema === undefined || used.has(name)) continue;
        used.set(name, this.#mapMembers(schema));
        follow(used.get(name));
      }
    };
    follow(paths);
    return Object.fromEntries([...used].sort(([a], [b]) => a.localeCompare(b)));
  }

  #mapMembers(schema: Json): Json {
    return Object.fromEntries(Object.entries(schema).map(([name, member]) => [name, this.referenced(member)]));
  }
}
