/**
 * The `wait` preference of RFC 7240, in seconds, at most `secondsMax`; null if there is none that can be understood:
 * a preference is a wish, so nonsense is ignored.
 */
export function preferredWait(header: string | readonly string[] | undefined, secondsMax: number): number | null {
  if (header === undefined) return null;
  const preferences = (typeof header === 'string' ? header : header.join(',')).split(',');
  for (const preference of preferences) {
    // RFC 7240: of several preferences of one name the first counts.
    const match = /^\s*wait\s*=\s*(?:"([^"]*)"|([^\s;]*))\s*(?:;.*)?$/i.exec(preference);
    if (match === null) continue;
    const text = match[1] ?? match[2] ?? '';
    return /^\d{1,15}$/.test(text) ? Math.min(Number(text), secondsMax) : null;
  }
  return null;
}
