import { DomainError } from '../errors.ts';
import type { GuestDisks } from '../guest/disk-activation.ts';
import type { Guest } from '../guest/guest.ts';
import { refuseDeadMachine } from '../guest/guest-snapshot.ts';
import type { Occupancy } from '../occupancy.ts';
import type { Settings } from '../settings/settings.ts';

/*
 * Reasons that rule a snapshot out, beside its tag and nodes. Checked twice: when the job is asked for, and when it
 * begins, since it may have waited behind another job.
 */

export type RefusalParts = {
  readonly guest: Guest;
  readonly disks: GuestDisks;
  readonly occupancy: Pick<Occupancy, 'refuse'>;
  readonly settings: Pick<Settings, 'has'>;
};

/** Capabilities that change the form of a stream; the VM state in an image is one plain stream. */
const RULED_OUT = ['multifd', 'mapped-ram'] as const;

/** @throws DomainError if the machine cannot be captured or replaced now. */
export function refuseBusyMachine(parts: RefusalParts): void {
  refuseAbsentGuest(parts);
  parts.occupancy.refuse('machine snapshot');
  refuseDeadMachine(parts.guest);
  refuseCapabilities(parts);
}

/**
 * @throws DomainError while the guest, and with it the right to its disks, is not here: QEMU does not touch snapshots
 * of its disks then either.
 */
export function refuseAbsentGuest(parts: Pick<RefusalParts, 'guest' | 'disks'>): void {
  const { state } = parts.guest;
  if (state === 'inmigrate') {
    throw new DomainError('machine_inmigrate', 'The guest is waiting for an incoming migration.');
  }
  if (state === 'postmigrate') {
    throw new DomainError('machine_postmigrate', 'The guest has left, its disks with it; cont would take it back.');
  }
  refuseInactiveDisks(parts);
}

/** @throws DomainError while another service may write to the images. */
export function refuseInactiveDisks({ disks, guest }: Pick<RefusalParts, 'guest' | 'disks'>): void {
  if (disks.isActive) return;
  const { state } = guest;
  const why =
    state === 'inmigrate' || state === 'postmigrate'
      ? `the guest that uses them is on the other side of a migration (${state})`
      : 'cont takes them into use';
  throw new DomainError('node_inactive', `The block device nodes are inactive: ${why}.`);
}

function refuseCapabilities({ settings }: Pick<RefusalParts, 'settings'>): void {
  const on = RULED_OUT.filter((name) => settings.has(name));
  if (on.length === 0) return;
  const detail = `${on.join(' and ')} is on, which changes the form of a stream; an image holds the plain one.`;
  throw new DomainError('snapshot_with_capability', detail);
}
