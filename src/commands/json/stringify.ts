import { JsonFraction } from './parse.ts';

/**
 * JSON text of a value; bigints become integers of full precision, not strings, and fractions that were read are
 * written as they came.
 * @param indent spaces per level; 0 puts everything on one line.
 */
export function stringifyJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, exact, indent);
}

function exact(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return JSON.rawJSON(value.toString());
  return value instanceof JsonFraction ? JSON.rawJSON(value.text) : value;
}
