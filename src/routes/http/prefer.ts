/** True if `Prefer` has `until=status`, a preference of this service: only a change of status ends the wait. */
export function prefersStatus(header: string | readonly string[] | undefined): boolean {
  return preferencesOf(header).some((preference) => /^\s*until\s*=\s*"?status"?\s*(?:;.*)?$/i.test(preference));
}

function preferencesOf(header: string | readonly string[] | undefined): readonly string[] {
  if (header === undefined) return [];
  return (typeof header === 'string' ? header : header.join(',')).split(',');
}

/**
 * The `wait` preference of RFC 7240, in seconds, at most `secondsMax`; null if there is none that can be understood:
 * a preference is a wish, so nonsense is ignored.
 */
export function preferredWait(header: string | readonly string[] | undefined, secondsMax: number): number | null {
  for (const preference of preferencesOf(header)) {
    // RFC 7240: of several preferences of one name the first counts.
    const match = /^\s*wait\s*=\s*(?:"([^"]*)"|([^\s;]*))\s*(?:;.*)?$/i.exec(preference);
    if (match === null) continue;
    const text = match[1] ?? match[2] ?? '';
    return /^\d{1,15}$/.test(text) ? Math.min(Number(text), secondsMax) : null;
  }
  return null;
}
