// Ranges and defaults of the migration parameters, as the OpenAPI document shows them. The schemas of the command table
// have none: the domain checks ranges together with the rules that depend on other values, and reports all at once.

import { PARAMETERS, type ParameterDefinition } from '../../src/domain/settings/parameters.ts';
import type { Json } from './schema-names.ts';

/** Larger limits would be rounded by readers whose numbers are doubles. */
const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * @returns the schema of a set of parameters with the range of each, and with the default where `hasDefaults`: in a
 * request to change some of them what is left out keeps its value.
 */
export function withRanges(schema: Json, hasDefaults: boolean): Json {
  const properties = Object.entries(schema.properties as Json).map(([name, property]) => {
    const definition = (PARAMETERS as Readonly<Record<string, ParameterDefinition>>)[name];
    return [
      name,
      definition === undefined
        ? property
        : { ...(property as Json), ...rangeOf(definition), ...(hasDefaults ? defaultOf(definition) : {}) },
    ];
  });
  return { ...schema, properties: Object.fromEntries(properties) };
}

function rangeOf(definition: ParameterDefinition): Json {
  if (!('min' in definition)) return {};
  const { min, max } = definition;
  const limits =
    max > SAFE_MAX ? { format: 'uint64', minimum: Number(min) } : { minimum: Number(min), maximum: Number(max) };
  return limits;
}

function defaultOf({ default: initial }: ParameterDefinition): Json {
  return initial === null ? {} : { default: initial };
}
