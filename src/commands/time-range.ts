import type { TimeRange } from '../domain/ports/store.ts';
import { readMoment } from '../text/moment.ts';
import { DomainError } from './errors.ts';

type Bounds = { readonly 'started-after'?: string; readonly 'started-before'?: string };

/**
 * The bounds of time that a list was asked for, as the store takes them; the schema has checked their form.
 * @throws DomainError for a range that nothing can be in, which is a mistake.
 */
export function timeRangeOf({ 'started-after': after, 'started-before': before }: Bounds): TimeRange {
  const [startedAfter, startedBefore] = [after, before].map((text) => (text === undefined ? null : readMoment(text)));
  if (startedAfter != null && startedBefore != null && startedAfter >= startedBefore) {
    const reason = `must be earlier than started-before, ${before}, not ${after}`;
    const violations = [{ pointer: '/started-after', reason }];
    throw new DomainError('value_out_of_range', `Member /started-after ${reason}.`, { violations });
  }
  return {
    ...(startedAfter == null ? {} : { startedAfter }),
    ...(startedBefore == null ? {} : { startedBefore }),
  };
}
