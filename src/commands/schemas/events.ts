import { type TSchema, Type } from 'typebox';
import { JOB_STATUSES } from '../../domain/jobs/status.ts';
import { Int64 } from './common.ts';
import { MigrationStatus } from './migrate.ts';
import { COLOExitReason, COLOMode } from './xen.ts';

/* The events of the QAPI schema, and what they carry. The last two wait for what they tell of: COLO, network interfaces. */

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
export const EVENTS: ReadonlyMap<string, TSchema | null> = new Map<string, TSchema | null>([
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
