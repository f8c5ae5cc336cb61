/** Form of a time, for error messages. */
export const MOMENT_FORM = 'a date and a time with a zone, such as 2025-06-01T12:00:00Z (in a URL + is %2B)';

const MOMENT =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i;

/** Reads a date-time of RFC 3339. @returns whole milliseconds since 1970; null if the text is not a date-time. */
export function readMoment(text: string): number | null {
  const match = MOMENT.exec(text);
  if (match === null) return null;
  const [year, month, day] = [match[1], match[2], match[3]].map(Number) as [number, number, number];
  // Date.parse reads February 30 as March 2.
  const date = new Date(Date.UTC(year, month - 1, day));
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  const milliseconds = Date.parse(text.toUpperCase());
  return Number.isNaN(milliseconds) ? null : milliseconds;
}
