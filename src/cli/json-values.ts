/* JSON whose integers survive being read and written again: the service's are exact up to 2^64 - 1. */

/** Like JSON.parse, but an integer that a double would round keeps its digits. @throws SyntaxError */
export function parseExactJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
    const isRounded = typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);
    return isRounded && context?.source !== undefined ? JSON.rawJSON(context.source) : value;
  });
}

/** The number that a value of `parseExactJson` stands for, rounded if need be; null if it is none. */
export function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'object' && value !== null && JSON.isRawJSON(value)) return Number(JSON.stringify(value));
  return null;
}

/** True for an object with members, as opposed to null, a list or a scalar. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}
