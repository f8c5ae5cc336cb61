import { type TObject, Type } from 'typebox';
import { JOB_STATUSES } from '../../domain/jobs/job-lifecycle.ts';
import { Int64 } from './common.ts';
import { GuestPanic } from './machine.ts';
import { MigrationStatus } from './migrate.ts';
import { COLOExitReason, COLOMode } from './replication.ts';

/* Events: their data in the QAPI schema, and the members that `GET /events` adds. COLO_EXIT and UNPLUG_PRIMARY are not emitted yet. */

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

/** Schema of the data of each event, by name; null for an event without data. */
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

/** Members that only `GET /events` has, by event. */
const ADDED = new Map<string, TObject>([
  ['MIGRATION', Type.Object({ id: Type.String({ description: 'Id of the migration.' }) })],
  ['MIGRATION_PASS', Type.Object({ id: Type.String({ description: 'Id of the migration.' }) })],
  ['GUEST_PANICKED', Type.Object({ panic: GuestPanic })],
]);

const EventTimestamp = Type.Object({ seconds: Int64(), microseconds: Int64() });

function eventSchema(name: string, dataSchema: TObject | null): TObject {
  const data = { ...dataSchema?.properties, ...ADDED.get(name)?.properties };
  const members = dataSchema === null ? {} : { data: Type.Object(data) };
  return Type.Object({ event: Type.Literal(name), ...members, timestamp: EventTimestamp });
}

/** The data of each event of the machine in `GET /events`. The member `event` distinguishes them. */
export const MachineEvent = Type.Union([...EVENTS].map(([name, dataSchema]) => eventSchema(name, dataSchema)));
/** The data of `gap`: the events from `from` to `to`, both included, are no longer kept. */
export const EventGap = Type.Object({ from: Int64(), to: Int64() });
/** The data of `bye`, the last message of a stream: the service shuts down. */
export const EventBye = Type.Object({ reason: Type.Literal('shutting-down') });
