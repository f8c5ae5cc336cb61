import type { EventRecord } from '../../domain/ports/store.ts';
import { EVENTS } from '../schemas/events.ts';

/** The event as `GET /events` has it: in QMP's form, with the members that only vmferry has. */
export function eventView({ name, data, at }: EventRecord): Record<string, unknown> {
  const timestamp = { seconds: Math.floor(at / 1000), microseconds: Math.floor((at % 1000) * 1000) };
  return { event: name, ...(data === null ? {} : { data }), timestamp };
}

/** The event as QMP has it: data has only the members of the QAPI schema. */
export function qmpEventView({ data, ...event }: EventRecord): Record<string, unknown> {
  const known = Object.keys(EVENTS.get(event.name)?.properties ?? {});
  const shown = Object.entries(data ?? {}).filter(([member]) => known.includes(member));
  return eventView({ ...event, data: data === null ? null : Object.fromEntries(shown) });
}

/** Events that QMP sockets are told of only while the capability `events` is on, as QEMU does. */
export const MIGRATION_EVENTS: ReadonlySet<string> = new Set(['MIGRATION', 'MIGRATION_PASS']);
