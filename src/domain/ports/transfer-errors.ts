import { ERRORS } from '../errors.ts';

/**
 * Every code with which a migration can fail (`error.code` of a row of the history), and its title. Some of them are also
 * codes of refused requests. Codes are stable, so that clients can branch on them. docs/errors/CODE.md explains each code; a
 * test compares this table with the pages and the source code.
 */
export const TRANSFER_ERRORS = {
  // the peer and the channel
  address_not_local: 'The address does not belong to this host',
  channel_failed: 'The channel failed',
  command_failed: 'The exec: command failed',
  connect_timeout: 'The host did not answer',
  connection_refused: 'The peer refused the connection',
  deadline_exceeded: 'The migration made no progress within the time limit',
  descriptor_unusable: 'The descriptor is neither a socket nor a pipe',
  file_too_short: 'The file ends before the offset',
  host_not_found: 'The host name cannot be resolved',
  host_unreachable: 'The host cannot be reached',
  no_space: 'There is not enough disk space',
  no_such_file: ERRORS.no_such_file.title,
  not_a_plain_file: ERRORS.not_a_plain_file.title,
  peer_closed: 'The peer closed the connection',
  peer_reset: 'The peer reset the connection',
  permission_denied: 'Permission denied',
  address_in_use: ERRORS.address_in_use.title,
  file_outside_root: ERRORS.file_outside_root.title,
  // the disks of the guest
  disks_not_released: "The guest's disks could not be released",
  disks_not_taken: "The guest's disks cannot be opened here",
  image_locked: ERRORS.image_locked.title,
  // the answer of the target, and the owner of the guest
  guest_does_not_stop: 'The guest did not stop',
  handover_outcome_unknown: 'It is unknown which side has the guest',
  incoming_aborted: 'The wait for an incoming migration was cancelled',
  machine_refused: 'The machine cannot load this guest',
  return_path_broken: 'The data from the target is not a valid return path',
  target_refused: 'The target refused the guest',
  // the service itself
  engine_crashed: 'A thread of the service died',
  service_stopped: 'The service stopped during the migration',
  engine_failed: ERRORS.engine_failed.title,
  // a valid stream of a different machine
  capability_differs: 'A capability is on at the source and off here',
  command_not_available: 'The stream has a command that this version does not support',
  machine_differs: 'The stream is of another machine type',
  page_size_differs: 'The page size differs',
  ram_block_length: 'The length of a RAM block differs',
  ram_block_missing: 'A RAM block is missing',
  ram_block_unknown: 'A RAM block is unknown',
  ram_too_large: 'The RAM of the machine is larger than this host allows',
  section_missing: 'A device is missing',
  section_unknown: 'A device is unknown',
  section_version: 'The version of a device differs',
  uuid_differs: 'The UUID of the machine differs',
  // a malformed stream
  command_broken: 'A command in the stream is malformed',
  command_unknown: 'A command in the stream is unknown',
  configuration_missing: 'The configuration is missing',
  data_after_end: 'Data follows the end of the stream',
  device_bytes_too_many: 'The device state is too large',
  element_unexpected: 'The stream has an unexpected element',
  footer_missing: 'A section has no footer',
  footer_wrong: "A section's footer does not match the section",
  global_state_broken: 'The run state in the stream cannot be read',
  machine_name_too_long: 'The name of the machine is too long',
  not_a_migration_stream: 'This is not a migration stream',
  peer_speaks_http: 'The peer speaks HTTP',
  peer_speaks_tls: 'The peer speaks TLS',
  ram_block_duplicate: 'A RAM block is listed twice',
  ram_blocks_too_many: 'There are too many RAM blocks',
  ram_page_outside: 'A page is outside its RAM block',
  ram_record_broken: 'A page record in the stream is malformed',
  ram_setup_broken: 'The list of RAM blocks is malformed',
  section_duplicate: 'A section occurs twice',
  section_order: 'A section is at the wrong position',
  section_size_unclear: 'The end of a device section cannot be determined',
  stream_truncated: 'The stream ends too early',
  stream_value_out_of_range: 'A number in the stream is too large',
  stream_version_unknown: 'The stream has an unknown version',
  subsection_unknown: 'A subsection of the configuration is unknown',
  vm_description_broken: 'The vmdescription cannot be read',
  vm_description_too_long: 'The vmdescription is too long',
} as const satisfies Record<string, string>;

export type TransferErrorCode = keyof typeof TRANSFER_ERRORS;
