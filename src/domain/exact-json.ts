/*
 * JSON that keeps 64-bit integers exact: below 2^53 they are numbers, above they are bigints, in both directions.
 */

/** Values that exact JSON text can hold. */
export type ExactJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly ExactJson[]
  | { readonly [key: string]: ExactJson | undefined };

const INTEGER = /^-?\d+$/;

/**
 * Text of a value; members that are undefined are left out.
 * @throws TypeError for numbers that JSON cannot hold.
 */
export function writeExactJson(value: ExactJson): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} cannot be written as JSON`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(writeExactJson).join(',')}]`;
  const members = Object.entries(value)
    .filter((member): member is [string, ExactJson] => member[1] !== undefined)
    .map(([key, member]) => `${JSON.stringify(key)}:${writeExactJson(member)}`);
  return `{${members.join(',')}}`;
}

/**
 * Value of a text; integers that a number cannot hold exactly become bigints.
 * @throws SyntaxError if the text is not JSON.
 */
export function readExactJson(text: string): ExactJson {
  return JSON.parse(text, exactNumber) as ExactJson;
}

function exactNumber(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && INTEGER.test(source) ? BigInt(source) : value;
}
