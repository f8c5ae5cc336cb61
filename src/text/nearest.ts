/* The known name that is most similar to a misspelt name. */

/** Longest name that is compared, in characters: the time of a comparison grows with the length. */
const LENGTH_MAX = 64;
/** Maximum distance in edits: one character added, removed or replaced, or two neighbours swapped. */
const DISTANCE_MAX = 3;
/** Minimum part of the longer name that agrees. */
const SIMILARITY_MIN = 0.6;

/** The candidate with the smallest distance, the first one of several; null if none is near enough. */
export function nearest(name: string, candidates: Iterable<string>): string | null {
  if (name.length === 0 || name.length > LENGTH_MAX) return null;
  const given = plain(name);
  let found: { readonly name: string; readonly distance: number } | null = null;
  for (const candidate of candidates) {
    const longer = Math.max(given.length, candidate.length);
    if (Math.abs(given.length - candidate.length) > DISTANCE_MAX) continue;
    const distance = editDistance(given, plain(candidate));
    const isNear = distance <= DISTANCE_MAX && 1 - distance / longer >= SIMILARITY_MIN;
    if (isNear && distance < (found?.distance ?? Number.POSITIVE_INFINITY)) found = { name: candidate, distance };
  }
  return found?.name ?? null;
}

/** ` Did you mean X?` for the end of an error message; empty if no candidate is near enough. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const found = nearest(name, candidates);
  return found === null ? '' : ` Did you mean ${found}?`;
}

/** The name in lower case, with `-` in place of `_`: these differences do not count as edits. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** Damerau-Levenshtein distance, with at most one edit of each character. */
function editDistance(one: string, other: string): number {
  let before: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row += 1) {
    const now = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const isSame = one[row - 1] === other[column - 1];
      const isSwapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      const edits = [last[column]! + 1, now[column - 1]! + 1, last[column - 1]! + (isSame ? 0 : 1)];
      if (row > 1 && column > 1 && isSwapped) edits.push(before[column - 2]! + 1);
      now.push(Math.min(...edits));
    }
    [before, last] = [last, now];
  }
  return last[other.length]!;
}
