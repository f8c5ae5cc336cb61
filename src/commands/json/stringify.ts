/**
 * JSON text of a value; bigints become integers of full precision, not strings.
 * @param indent spaces per level; 0 puts everything on one line.
 */
export function stringifyJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, exact, indent);
}

function exact(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? JSON.rawJSON(value.toString()) : value;
}
