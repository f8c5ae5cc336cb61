// Ranges and defaults of the migration parameters for the OpenAPI document. The schemas of the command table have no ranges:
// the domain checks ranges together with rules about several values, and reports all violations at once.

import type { ParameterDeclaration } from '../../src/domain/settings/declaration.ts';
import { isParameter, parameterDeclaration } from '../../src/domain/settings/declared-settings.ts';
import type { Json } from './schema-names.ts';

/** Largest limit that is shown. Readers that use doubles would round a larger one. */
const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * @returns the schema of a set of parameters with the range of each, and with defaults if `hasDefaults`. In a request that
 * changes parameters, an omitted parameter keeps its value and so has no default
 */
export function withRanges(schema: Json, hasDefaults: boolean): Json {
  const properties = Object.entries(schema.properties as Json).map(([name, property]) => {
    if (!isParameter(name)) throw new Error(`${name} is not a parameter`);
    const declaration = parameterDeclaration(name);
    const range = { ...rangeOf(declaration), ...(hasDefaults ? defaultOf(declaration) : {}) };
    return [name, { ...(property as Json), ...range }];
  });
  return { ...schema, properties: Object.fromEntries(properties) };
}

function rangeOf(declaration: ParameterDeclaration): Json {
  if (!('min' in declaration)) return {};
  const { min, max } = declaration;
  return max > SAFE_MAX ? { format: 'uint64', minimum: Number(min) } : { minimum: Number(min), maximum: Number(max) };
}

function defaultOf({ default: initial }: ParameterDeclaration): Json {
  return initial === null ? {} : { default: initial };
}
