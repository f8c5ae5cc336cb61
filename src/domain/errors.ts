/**
 * Every error that a client can receive: its kind, which HTTP maps to a status, and its title. Codes are stable, so that
 * clients can branch on them. docs/errors/CODE.md explains each code; a test compares this table with the pages.
 */
export const ERRORS = {
  // malformed
  unknown_member: { kind: 'malformed', title: 'A member or parameter is unknown' },
  missing_member: { kind: 'malformed', title: 'A required member or parameter is missing' },
  wrong_type: { kind: 'malformed', title: 'A member has the wrong type' },
  unknown_capability: { kind: 'malformed', title: 'There is no capability with this name' },
  line_not_understood: { kind: 'malformed', title: 'The line is not a command of the text monitor' },
  invalid_cursor: { kind: 'malformed', title: 'The cursor does not belong to this list' },
  // forbidden
  exec_not_allowed: { kind: 'forbidden', title: 'This service does not allow exec: addresses' },
  file_outside_root: { kind: 'forbidden', title: 'The file is outside the file root' },
  not_allowed: { kind: 'forbidden', title: "The token's role does not allow this command" },
  permission_denied: { kind: 'forbidden', title: 'Permission denied' },
  // missing
  migration_not_found: { kind: 'missing', title: 'There is no migration with this id' },
  job_not_found: { kind: 'missing', title: 'There is no job with this id' },
  announcement_not_found: { kind: 'missing', title: 'There is no announcement with this id' },
  blocker_not_found: { kind: 'missing', title: 'There is no blocker with this id' },
  snapshot_not_found: { kind: 'missing', title: 'There is no such snapshot' },
  node_not_found: { kind: 'missing', title: 'There is no block device node with this name' },
  descriptor_not_found: { kind: 'missing', title: 'There is no descriptor with this name' },
  no_such_file: { kind: 'missing', title: 'There is no such file' },
  image_not_found: { kind: 'missing', title: 'There is no such image file' },
  no_console: { kind: 'missing', title: 'This machine has no console' },
  // conflict
  migration_in_progress: { kind: 'conflict', title: 'A migration is in progress' },
  migration_blocked: { kind: 'conflict', title: 'A blocker forbids migrations' },
  machine_postmigrate: { kind: 'conflict', title: 'The guest has already left' },
  machine_inmigrate: { kind: 'conflict', title: 'The machine is waiting for an incoming migration' },
  machine_not_loaded: { kind: 'conflict', title: 'The service has no machine yet' },
  machine_running: { kind: 'conflict', title: 'The guest is running' },
  machine_cannot_run: { kind: 'conflict', title: 'This machine has no vCPU' },
  no_workload: { kind: 'conflict', title: 'This machine has no workload' },
  machine_reset_required: { kind: 'conflict', title: 'The guest cannot continue' },
  not_expecting_incoming: { kind: 'conflict', title: 'The service does not wait for an incoming migration' },
  not_postcopy_paused: { kind: 'conflict', title: 'There is no paused post-copy migration to resume' },
  not_in_postcopy: { kind: 'conflict', title: 'No migration is in its post-copy phase' },
  postcopy_not_enabled: { kind: 'conflict', title: 'The capability postcopy-ram is off' },
  already_negotiated: { kind: 'conflict', title: 'The QMP capabilities are already negotiated' },
  not_in_expected_state: { kind: 'conflict', title: 'The migration is in another status' },
  not_finalized: { kind: 'conflict', title: 'The migration is not finalized yet' },
  too_late_to_set: { kind: 'conflict', title: 'The setting cannot change during an incoming migration' },
  address_in_use: { kind: 'conflict', title: 'The address is already in use' },
  job_cancelled: { kind: 'conflict', title: 'The job was cancelled' },
  job_id_in_use: { kind: 'conflict', title: 'A job with this id already exists' },
  job_verb_not_allowed: { kind: 'conflict', title: 'The status of the job does not allow this command' },
  job_not_cancellable: { kind: 'conflict', title: 'The job cannot be cancelled any more' },
  job_in_progress: { kind: 'conflict', title: 'A job is using the machine' },
  snapshot_exists: { kind: 'conflict', title: 'A snapshot with this tag already exists' },
  node_inactive: { kind: 'conflict', title: 'The guest of the block device node is not on this host' },
  node_read_only: { kind: 'conflict', title: 'The block device node is read-only' },
  snapshot_with_capability: { kind: 'conflict', title: 'A capability that is on does not allow snapshots' },
  snapshot_without_vm_state: { kind: 'conflict', title: 'The snapshot has no VM state' },
  image_locked: { kind: 'conflict', title: 'Another process has locked the image' },
  image_read_only: { kind: 'conflict', title: 'The image is open read-only' },
  image_gone: { kind: 'conflict', title: 'The image file was removed, replaced or overwritten' },
  snapshot_table_full: { kind: 'conflict', title: 'The image has no space for another snapshot' },
  dirty_rate_measuring: { kind: 'conflict', title: 'A dirty rate measurement is already running' },
  dirty_ring_needed: { kind: 'conflict', title: 'This machine has no dirty ring' },
  dirty_ring_in_use: { kind: 'conflict', title: 'This machine has a dirty ring instead of a dirty bitmap' },
  only_migratable: { kind: 'conflict', title: 'The option --only-migratable does not allow blockers' },
  no_balloon: { kind: 'conflict', title: 'This machine has no balloon device' },
  hotplug_not_supported: { kind: 'conflict', title: 'This machine does not support CPU hotplug' },
  not_in_colo: { kind: 'conflict', title: 'The machine is not in COLO mode' },
  descriptor_not_received: { kind: 'conflict', title: 'The command came without a descriptor' },
  too_many_descriptors: { kind: 'conflict', title: 'There are too many descriptors' },
  too_many_blockers: { kind: 'conflict', title: 'There are too many blockers' },
  too_many_announcements: { kind: 'conflict', title: 'Too many announcements are running' },
  // stale
  settings_changed: { kind: 'stale', title: 'The settings have changed in the meantime' },
  // invalid
  value_out_of_range: { kind: 'invalid', title: 'A value is outside the allowed range' },
  incompatible_capabilities: { kind: 'invalid', title: 'The capabilities exclude each other' },
  incompatible_parameters: { kind: 'invalid', title: 'The parameters exclude each other' },
  uri_or_channels: { kind: 'invalid', title: 'Exactly one of uri and channels is required' },
  invalid_address: { kind: 'invalid', title: 'The migration address is invalid' },
  transport_unsuitable: { kind: 'invalid', title: 'The transport does not support the enabled capabilities' },
  idempotency_key_reused: { kind: 'invalid', title: 'The Idempotency-Key was used for another request' },
  not_a_plain_file: { kind: 'invalid', title: 'The path is not a regular file' },
  device_state_refused: { kind: 'invalid', title: 'The file does not contain device state of this machine' },
  invalid_job_id: { kind: 'invalid', title: 'The job id is not valid' },
  invalid_tag: { kind: 'invalid', title: 'The snapshot tag is not valid' },
  invalid_devices: { kind: 'invalid', title: 'The list of block device nodes is not valid for this command' },
  out_of_range: { kind: 'invalid', title: 'A position is outside the image' },
  image_too_large: { kind: 'invalid', title: 'The image is larger than vmferry supports' },
  address_not_available: { kind: 'invalid', title: 'The service cannot listen on this address' },
  // unavailable
  monitor_not_available: { kind: 'unavailable', title: 'This service has no text monitor' },
  capability_not_available: { kind: 'unavailable', title: 'This capability is not available in this version' },
  parameter_not_available: { kind: 'unavailable', title: 'This parameter value is not available in this version' },
  transport_not_available: { kind: 'unavailable', title: 'This transport is not available on this host' },
  image_unsupported: { kind: 'unavailable', title: 'The image uses a feature that vmferry does not support' },
  // closing
  shutting_down: { kind: 'closing', title: 'The service is shutting down' },
  // busy
  too_many_jobs: { kind: 'busy', title: 'There are too many jobs' },
  // full
  no_space: { kind: 'full', title: 'There is not enough disk space' },
  // internal
  data_directory_unusable: { kind: 'internal', title: 'The data directory cannot be used' },
  data_directory_in_use: { kind: 'internal', title: 'Another service uses the data directory' },
  database_corrupt: { kind: 'internal', title: 'The database is damaged' },
  database_newer: { kind: 'internal', title: 'The database was written by a newer version' },
  stored_settings_unreadable: { kind: 'internal', title: 'The stored settings cannot be read' },
  image_not_qcow2: { kind: 'internal', title: 'The file is not a qcow2 image' },
  image_corrupt: { kind: 'internal', title: 'The image is damaged' },
  image_truncated: { kind: 'internal', title: 'The image ends too early' },
  image_io_error: { kind: 'internal', title: 'The image file cannot be read or written' },
  snapshot_damaged: { kind: 'internal', title: 'The snapshot is damaged' },
  disks_in_doubt: { kind: 'internal', title: 'The state of the disks is unknown' },
  job_failed: { kind: 'internal', title: 'The job failed' },
  engine_failed: { kind: 'internal', title: 'The transfer engine failed' },
} as const satisfies Record<string, { kind: ErrorKind; title: string }>;

/** HTTP statuses: malformed 400 · forbidden 403 · missing 404 · conflict 409 · stale 412 · invalid 422 · unavailable 501 · closing, busy 503 · full 507 · internal 500 */
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

/** True if `code` is in the table. Used to throw an error of another thread again with the same code. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** One violation of a rule: a JSON pointer to the value, and the reason with the allowed values. */
export type Violation = { readonly pointer: string; readonly reason: string };

/** An error with a stable code. `message` is a sentence with the given value and the allowed values. */
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
