import { PLAIN_RECORDS } from './formats/plain-records.ts';
import type { PageFormat } from './page-format.ts';

/**
 * All page formats, in order of precedence: the first that fits the capabilities is used. PLAIN_RECORDS fits always and is
 * last.
 */
const PAGE_FORMATS: readonly PageFormat[] = [PLAIN_RECORDS];

/** The format of a migration with these capabilities, at both ends: the first in the table that is used with them. */
export function pageFormatFor(capabilities: readonly string[]): PageFormat {
  const format = PAGE_FORMATS.find(({ isUsedWith }) => isUsedWith(capabilities));
  if (format === undefined) throw new RangeError(`no page format is used with ${capabilities.join(', ')}`);
  return format;
}
