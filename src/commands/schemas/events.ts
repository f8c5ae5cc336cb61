import { type TObject, Type } from 'typebox';
import { JOB_STATUSES } from '../../domain/jobs/job-lifecycle.ts';
import { Int64 } from './common.ts';
import { GuestPanic } from './machine.ts';
import { MigrationStatus } from './migrate.ts';
import { COLOExitReason, COLOMode } from './replication.ts';

/* Events: what they carry in QAPI's schema, and what `GET /events` adds to that. COLO_EXIT and UNPLUG_PRIMARY never come yet. */

const ShutdownCause = Type.Enum([
  'none',
  'host-error',
  'host-qmp-quit',
  'host-qmp-system-reset',
  'host-signal',
  'host-ui',
  'guest-shutdown',
  'guest-reset',
  'guest-panic',
  'subsystem-reset',
  'snapshot-load',
]);

const GuestPanicAction = Type.Enum(['pause', 'poweroff', 'run']);

/** By name; null: it carries nothing. */
export const EVENTS: ReadonlyMap<string, TObject | null> = new Map<string, TObject | null>([
  ['MIGRATION', Type.Object({ status: MigrationStatus })],
  ['MIGRATION_PASS', Type.Object({ pass: Int64() })],
  ['STOP', null],
  ['RESUME', null],
  ['SHUTDOWN', Type.Object({ guest: Type.Boolean(), reason: ShutdownCause })],
  ['GUEST_PANICKED', Type.Object({ action: GuestPanicAction })],
  ['JOB_STATUS_CHANGE', Type.Object({ id: Type.String(), status: Type.Enum(['undefined', ...JOB_STATUSES]) })],
  ['COLO_EXIT', Type.Object({ mode: COLOMode, reason: COLOExitReason })],
  ['UNPLUG_PRIMARY', Type.Object({ 'device-id': Type.String() })],
]);

/** Members that `GET /events` has beyond the QAPI schema, by event. */
const ADDED = new Map<string, TObject>([
  ['MIGRATION', Type.Object({ id: Type.String({ description: 'Of the migration.' }) })],
  ['MIGRATION_PASS', Type.Object({ id: Type.String({ description: 'Of the migration.' }) })],
  ['GUEST_PANICKED', Type.Object({ panic: GuestPanic })],
]);

const EventTimestamp = Type.Object({ seconds: Int64(), microseconds: Int64() });

function eventSchema(name: string, carried: TObject | null): TObject {
  const data = { ...carried?.properties, ...ADDED.get(name)?.properties };
  const members = carried === null ? {} : { data: Type.Object(data) };
  return Type.Object({ event: Type.Literal(name), ...members, timestamp: EventTimestamp });
}

/** The JSON behind `data:` of each event of the machine in `GET /events`, told apart by the member `event`. */
export const MachineEvent = Type.Union([...EVENTS].map(([name, carried]) => eventSchema(name, carried)));
/** The JSON behind `data:` of `gap`: events `from` to `to`, both included, are no longer kept. */
export const EventGap = Type.Object({ from: Int64(), to: Int64() });
/** The JSON behind `data:` of `bye`, the last event of a stream: the service closes. */
export const EventBye = Type.Object({ reason: Type.Literal('shutting-down') });
