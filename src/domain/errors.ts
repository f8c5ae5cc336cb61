/**
 * Every error that the outside may see: its kind (which the doors map to an HTTP status) and its title. Codes are
 * stable: a client may branch on them. docs/errors/CODE.md explains each; a test holds the two together.
 */
export const ERRORS = {
  // malformed
  unknown_member: { kind: 'malformed', title: 'A member is not known here' },
  missing_member: { kind: 'malformed', title: 'A member that is needed is missing' },
  wrong_type: { kind: 'malformed', title: 'A member has the wrong type' },
  unknown_capability: { kind: 'malformed', title: 'There is no capability of this name' },
  line_not_understood: { kind: 'malformed', title: 'The line is no command of the text monitor' },
  invalid_cursor: { kind: 'malformed', title: 'The cursor did not come from this list' },
  // forbidden
  exec_not_allowed: { kind: 'forbidden', title: 'exec: addresses are not allowed here' },
  file_outside_root: { kind: 'forbidden', title: 'The file lies outside the file root' },
  not_allowed: { kind: 'forbidden', title: 'The token does not allow this' },
  permission_denied: { kind: 'forbidden', title: 'Permission was denied' },
  // missing
  migration_not_found: { kind: 'missing', title: 'There is no migration with this id' },
  job_not_found: { kind: 'missing', title: 'There is no job with this id' },
  announcement_not_found: { kind: 'missing', title: 'There is no announcement with this id' },
  blocker_not_found: { kind: 'missing', title: 'There is no blocker with this id' },
  snapshot_not_found: { kind: 'missing', title: 'There is no such snapshot' },
  node_not_found: { kind: 'missing', title: 'There is no block device node of this name' },
  descriptor_not_found: { kind: 'missing', title: 'There is no descriptor of this name' },
  no_such_file: { kind: 'missing', title: 'There is no such file' },
  image_not_found: { kind: 'missing', title: 'There is no such image file' },
  no_console: { kind: 'missing', title: 'This machine has no console' },
  // conflict
  migration_in_progress: { kind: 'conflict', title: 'A migration is in progress' },
  migration_blocked: { kind: 'conflict', title: 'Migration is blocked' },
  machine_postmigrate: { kind: 'conflict', title: 'The guest has already left' },
  machine_inmigrate: { kind: 'conflict', title: 'The guest is waiting for an incoming migration' },
  machine_not_loaded: { kind: 'conflict', title: 'There is no machine here yet' },
  machine_running: { kind: 'conflict', title: 'The guest runs' },
  machine_cannot_run: { kind: 'conflict', title: 'This machine has no vCPU that could run' },
  no_workload: { kind: 'conflict', title: 'This machine has no workload' },
  machine_reset_required: { kind: 'conflict', title: 'The guest cannot go on' },
  not_expecting_incoming: { kind: 'conflict', title: 'No incoming migration is expected' },
  not_postcopy_paused: { kind: 'conflict', title: 'There is no paused postcopy to resume' },
  not_in_postcopy: { kind: 'conflict', title: 'No migration is in its post-copy phase' },
  postcopy_not_enabled: { kind: 'conflict', title: 'Post-copy is not switched on' },
  already_negotiated: { kind: 'conflict', title: 'There is nothing to negotiate' },
  not_in_expected_state: { kind: 'conflict', title: 'The migration is in another state' },
  not_finalized: { kind: 'conflict', title: 'The migration is not finalized yet' },
  too_late_to_set: { kind: 'conflict', title: 'This must be set before an incoming migration starts' },
  address_in_use: { kind: 'conflict', title: 'Something else listens on this address' },
  job_cancelled: { kind: 'conflict', title: 'The job was cancelled' },
  job_id_in_use: { kind: 'conflict', title: 'There is a job with this id' },
  job_verb_not_allowed: { kind: 'conflict', title: 'The job is in another state' },
  job_not_cancellable: { kind: 'conflict', title: 'The job cannot be cancelled any more' },
  job_in_progress: { kind: 'conflict', title: 'A job needs the machine' },
  snapshot_exists: { kind: 'conflict', title: 'There is a snapshot with this tag' },
  node_inactive: { kind: 'conflict', title: 'The guest that uses the block device node is not here' },
  node_read_only: { kind: 'conflict', title: 'The block device node cannot be written' },
  snapshot_with_capability: { kind: 'conflict', title: 'A capability that is on rules out snapshots' },
  snapshot_without_vm_state: { kind: 'conflict', title: 'The snapshot has no machine in it' },
  image_locked: { kind: 'conflict', title: 'Another program uses the image' },
  image_read_only: { kind: 'conflict', title: 'The image is open read-only' },
  image_gone: { kind: 'conflict', title: 'The image file was removed, replaced or overwritten' },
  snapshot_table_full: { kind: 'conflict', title: 'The image has no room for another snapshot' },
  dirty_rate_measuring: { kind: 'conflict', title: 'The dirty rate is being measured' },
  dirty_ring_needed: { kind: 'conflict', title: 'This machine has no dirty ring' },
  dirty_ring_in_use: { kind: 'conflict', title: 'This machine has a dirty ring in place of a dirty bitmap' },
  only_migratable: { kind: 'conflict', title: 'Nothing may forbid a migration here' },
  no_balloon: { kind: 'conflict', title: 'This machine has no balloon device' },
  hotplug_not_supported: { kind: 'conflict', title: 'This machine takes no further CPUs' },
  not_in_colo: { kind: 'conflict', title: 'The machine is not in COLO mode' },
  descriptor_not_received: { kind: 'conflict', title: 'No descriptor came with the command' },
  too_many_descriptors: { kind: 'conflict', title: 'There are too many descriptors' },
  too_many_blockers: { kind: 'conflict', title: 'There are too many blockers' },
  too_many_announcements: { kind: 'conflict', title: 'There are too many announcements under way' },
  // stale
  settings_changed: { kind: 'stale', title: 'The settings have changed meanwhile' },
  // invalid
  value_out_of_range: { kind: 'invalid', title: 'A value is outside what is allowed' },
  incompatible_capabilities: { kind: 'invalid', title: 'These capabilities do not go together' },
  incompatible_parameters: { kind: 'invalid', title: 'These parameters do not go together' },
  uri_or_channels: { kind: 'invalid', title: 'Exactly one of uri and channels is needed' },
  invalid_address: { kind: 'invalid', title: 'This is not an address to migrate to or from' },
  transport_unsuitable: { kind: 'invalid', title: 'The transport does not suit the capabilities' },
  idempotency_key_reused: { kind: 'invalid', title: 'The Idempotency-Key was used for another request' },
  not_a_plain_file: { kind: 'invalid', title: 'This is not a plain file' },
  device_state_refused: { kind: 'invalid', title: 'The file holds no device state of this machine' },
  invalid_job_id: { kind: 'invalid', title: 'A job cannot have this id' },
  invalid_tag: { kind: 'invalid', title: 'A snapshot cannot have this tag' },
  invalid_devices: { kind: 'invalid', title: 'A snapshot cannot be made of these nodes' },
  out_of_range: { kind: 'invalid', title: 'Something lies outside the image' },
  image_too_large: { kind: 'invalid', title: 'The image is larger than vmferry handles' },
  address_not_available: { kind: 'invalid', title: 'The address cannot be listened on' },
  // unavailable
  monitor_not_available: { kind: 'unavailable', title: 'There is no text monitor here' },
  capability_not_available: { kind: 'unavailable', title: 'This capability is not available in this version' },
  parameter_not_available: { kind: 'unavailable', title: 'This parameter value is not available in this version' },
  transport_not_available: { kind: 'unavailable', title: 'This transport is not available on this host' },
  image_unsupported: { kind: 'unavailable', title: 'The image needs something that vmferry does not have' },
  // closing
  shutting_down: { kind: 'closing', title: 'The service is shutting down' },
  // busy
  too_many_jobs: { kind: 'busy', title: 'There are too many jobs' },
  // full
  no_space: { kind: 'full', title: 'No space is left' },
  // internal
  data_directory_unusable: { kind: 'internal', title: 'The data directory cannot be used' },
  data_directory_in_use: { kind: 'internal', title: 'Another service uses the data directory' },
  database_corrupt: { kind: 'internal', title: 'The database is damaged' },
  database_newer: { kind: 'internal', title: 'The database was written by a newer version' },
  stored_settings_unreadable: { kind: 'internal', title: 'Stored settings cannot be read' },
  image_not_qcow2: { kind: 'internal', title: 'The file is not a qcow2 image' },
  image_corrupt: { kind: 'internal', title: 'The image is damaged' },
  image_truncated: { kind: 'internal', title: 'The image ends too early' },
  image_io_error: { kind: 'internal', title: 'The image file cannot be read or written' },
  snapshot_damaged: { kind: 'internal', title: 'The snapshot is damaged' },
  disks_in_doubt: { kind: 'internal', title: 'Which state the disks are in is not known' },
  job_failed: { kind: 'internal', title: 'The work of a job failed' },
  engine_failed: { kind: 'internal', title: 'The transfer engine failed' },
} as const satisfies Record<string, { kind: ErrorKind; title: string }>;

/** malformed 400 · forbidden 403 · missing 404 · conflict 409 · stale 412 · invalid 422 · unavailable 501 · closing, busy 503 · full 507 */
export type ErrorKind =
  | 'malformed'
  | 'forbidden'
  | 'missing'
  | 'conflict'
  | 'stale'
  | 'invalid'
  | 'unavailable'
  | 'closing'
  | 'busy'
  | 'full'
  | 'internal';

export type ErrorCode = keyof typeof ERRORS;

/** True if `code` is one of the table, so that an error of another thread can be raised under its own name. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** One thing that was wrong: a JSON pointer to it and what is allowed. */
export type Violation = { readonly pointer: string; readonly reason: string };

/** An error with a stable code. `message` is a sentence with the value given and what is allowed. */
export class DomainError extends Error {
  readonly code: ErrorCode;
  readonly violations: readonly Violation[];

  constructor(code: ErrorCode, message: string, options: { violations?: readonly Violation[]; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'DomainError';
    this.code = code;
    this.violations = options.violations ?? [];
  }

  get kind(): ErrorKind {
    return ERRORS[this.code].kind;
  }
}
