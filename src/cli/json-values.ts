/* JSON of the service. Its integers are exact up to 2^64 - 1, so a value that is read and printed again keeps all digits. */

/** Parses JSON. An integer that a double would round stays a raw number with all its digits. @throws SyntaxError */
export function parseExactJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
    const isRounded = typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);
    return isRounded && context?.source !== undefined ? JSON.rawJSON(context.source) : value;
  });
}

/** A JSON document on one line. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** The value as a number, rounded to a double; null if it is not a number. */
export function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'object' && value !== null && JSON.isRawJSON(value)) return Number(JSON.stringify(value));
  return null;
}

/** The value as a text; null if it is not a text. */
export function stringOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** A time of the service without the fraction of its seconds: `2025-06-01T12:00:00Z`; null if the value is not a text. */
export function timeOf(value: unknown): string | null {
  return stringOf(value)?.replace(/\.\d+Z$/, 'Z') ?? null;
}

/** The value as text for a line: a text unchanged, other values as JSON. */
export function plainOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** True for an object with members; false for null, a list or a scalar. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}
