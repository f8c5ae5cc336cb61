import type { Context } from '../context.ts';
import { DomainError } from '../errors.ts';
import { refuseDeadMachine } from '../machine/snapshot-steps.ts';
import { refuseMovingDevices } from '../migration/waiting-jobs.ts';

/*
 * What rules a snapshot out, beside its tag and nodes. Asked twice: when it is asked for, and when its turn has come,
 * since it may have waited behind another job.
 */

/** The VM state in an image is one plain stream, which these change the form of. */
const RULED_OUT = ['multifd', 'mapped-ram'] as const;

/** @throws DomainError if the machine cannot be captured or replaced now. */
export function refuseBusyMachine(context: Context): void {
  refuseAbsentGuest(context);
  refuseMigration(context);
  refuseMovingDevices(context);
  refuseDeadMachine(context);
  refuseCapabilities(context);
}

/** @throws DomainError if there is no machine yet: an image that has not adopted one. */
export function refuseEmptyMachine({ machine }: Context): void {
  if (machine.isLoaded) return;
  throw new DomainError('machine_not_loaded', 'This machine is empty until one has been adopted.');
}

/**
 * @throws DomainError while the guest, and with it the right to its disks, is not here: QEMU does not touch snapshots
 * of its disks then either.
 */
export function refuseAbsentGuest(context: Context): void {
  const { runState } = context;
  if (runState.current === 'inmigrate') {
    throw new DomainError('machine_inmigrate', 'The guest is waiting for an incoming migration.');
  }
  if (runState.current === 'postmigrate') {
    throw new DomainError('machine_postmigrate', 'The guest has left, its disks with it; cont would take it back.');
  }
  refuseInactiveDisks(context);
}

/** @throws DomainError while others may write to the images. */
export function refuseInactiveDisks({ blocks, runState }: Context): void {
  if (blocks.isActive) return;
  const why =
    runState.current === 'inmigrate' || runState.current === 'postmigrate'
      ? `the guest that uses them is on the other side of a migration (${runState.current})`
      : 'cont takes them into use';
  throw new DomainError('node_inactive', `The block device nodes are inactive: ${why}.`);
}

function refuseMigration({ current }: Context): void {
  if (current === null || current.isEnded) return;
  throw new DomainError('migration_in_progress', `Migration ${current.id} is in progress (${current.status}).`);
}

function refuseCapabilities({ settings }: Context): void {
  const on = RULED_OUT.filter((name) => settings.has(name));
  if (on.length === 0) return;
  const detail = `${on.join(' and ')} is on, which changes the form of a stream; an image holds the plain one.`;
  throw new DomainError('snapshot_with_capability', detail);
}

/** @throws DomainError once the service closes. */
export function refuseWhenClosing({ isClosing }: Context): void {
  if (isClosing) throw new DomainError('shutting_down', 'The service is shutting down.');
}
