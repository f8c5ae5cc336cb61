import type { EventRecord } from '../../domain/store-ports.ts';

/** The event as QMP spells it. */
export function eventView({ name, data, at }: EventRecord): Record<string, unknown> {
  const timestamp = { seconds: Math.floor(at / 1000), microseconds: Math.floor((at % 1000) * 1000) };
  return { event: name, ...(data === null ? {} : { data }), timestamp };
}
