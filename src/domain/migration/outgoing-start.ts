import type { DirtyLimits } from '../dirty/dirty-limits.ts';
import { DomainError } from '../errors.ts';
import type { Changes } from '../events/event-hub.ts';
import type { Guest, GuestDisks } from '../guest/guest.ts';
import { guestLeft, guestResumed, guestStaysStopped, guestStopped } from '../guest/guest-interruptions.ts';
import type { Occupancy } from '../occupancy.ts';
import type { Hypervisor } from '../ports/hypervisor.ts';
import type {
  Deadlines,
  MigrationAddress,
  MigrationEnd,
  OutgoingRequest,
  TransferError,
  TransferListener,
} from '../ports/migration-session.ts';
import type { Note, Report } from '../ports/process.ts';
import type { MigrationRecord, OnInsert } from '../ports/store.ts';
import type { Settings } from '../settings/settings.ts';
import { refuseUnsuitableTransport } from './address-options.ts';
import { type MigrateArguments, readAddress } from './channels.ts';
import type { FdSets, NamedDescriptors } from './client-descriptors.ts';
import type { CurrentMigration } from './current-migration.ts';
import type { AddressRules } from './migration-address.ts';
import type { Blockers } from './migration-blockers.ts';
import { diskFailure, engineFailure, failureOf, noteOf } from './migration-failure.ts';
import type { Ending, MigrationJournal } from './migration-journal.ts';
import { isEnded } from './migration-status.ts';

export type OutgoingParts = {
  readonly hypervisor: Pick<Hypervisor, 'isHeldFor' | 'release' | 'startOutgoing' | 'refusalOfLink'>;
  readonly guest: Guest;
  readonly disks: GuestDisks;
  readonly settings: Settings;
  readonly dirtyLimits: DirtyLimits;
  readonly occupancy: Pick<Occupancy, 'has' | 'refuse'>;
  readonly blockers: Pick<Blockers, 'reasons'>;
  readonly journal: MigrationJournal;
  readonly changes: Changes;
  readonly addressRules: AddressRules;
  readonly descriptors: Pick<NamedDescriptors, 'giveAway'>;
  readonly fdSets: Pick<FdSets, 'lend'>;
  readonly deadlines: Deadlines;
  /** The uuid that is sent with `validate-uuid`; null: none. */
  readonly comparedUuid: string | null;
  readonly note: Note;
  readonly report: Report;
};

/**
 * Starts an outgoing migration. When this returns, its row is stored; failures to connect show later in its status.
 * @throws DomainError
 */
export function startMigration(
  parts: OutgoingParts,
  arguments_: MigrateArguments,
  onInsert?: OnInsert<MigrationRecord>,
): MigrationRecord {
  const { hypervisor, settings, journal } = parts;
  const address = readAddress(arguments_, 'connect', parts.addressRules);
  refuseUnsuitableTransport(address, settings);
  refuseLink(address, parts);
  refuseUnlessReady(parts, arguments_.resume === true);
  const migration = journal.create('outgoing');
  const request = requestFor(parts, migration, address);
  migration.endThrottle = () => parts.dirtyLimits.endThrottle();
  const record = journal.open(migration, { address, onInsert, mayUseReserve: true });
  try {
    const transfer = parts.fdSets.lend(address, (lent) =>
      hypervisor.startOutgoing({ ...request, address: lent.address }, listenerFor(parts, migration, lent.release)),
    );
    transfer.countFrom(journal.ageOf(migration));
    migration.transfer = transfer;
    parts.descriptors.giveAway(address);
    const end = transfer.ended.catch((error: unknown) => brokenEnd(error, transfer.status.isHandedOver()));
    void end.then((known) => endMigration(parts, migration, known)).catch(parts.report);
  } catch (error) {
    journal.applyEnd(migration, { status: 'failed', error: engineFailure(error), guest: 'here' });
    return { ...record, status: 'failed' };
  }
  migration.recorder?.start();
  return record;
}

/** Checked here because the file is opened only after the request was accepted. */
function refuseLink(address: MigrationAddress, { hypervisor }: OutgoingParts): void {
  if (address.transport !== 'file' || address.descriptor !== undefined) return;
  const refusal = hypervisor.refusalOfLink(address.path);
  if (refusal !== null) throw new DomainError('not_a_plain_file', `${refusal}.`);
}

function refuseUnlessReady({ occupancy, blockers }: OutgoingParts, isResume: boolean): void {
  if (isResume && !occupancy.has('closing')) {
    throw new DomainError('not_postcopy_paused', 'resume is only for a migration in postcopy-paused.');
  }
  occupancy.refuse('outgoing migration');
  const reasons = blockers.reasons();
  if (reasons.length > 0) throw new DomainError('migration_blocked', `Migration is blocked: ${reasons.join('; ')}`);
}

function requestFor(parts: OutgoingParts, { id }: CurrentMigration, address: MigrationAddress): OutgoingRequest {
  const { settings } = parts;
  return {
    address,
    capabilities: settings.enabled(),
    opensReturnPath: settings.opensReturnPath(),
    parameters: settings.live(),
    detectsZeroPages: settings.detectsZeroPages(),
    deadlines: parts.deadlines,
    sharedId: id,
    uuid: parts.comparedUuid,
  };
}

/** Number of newest syncs whose sizes are kept for the verdict. */
const SYNCS_KEPT = 8;

function listenerFor(parts: OutgoingParts, migration: CurrentMigration, released: () => void): TransferListener {
  const { journal, guest, disks } = parts;
  return {
    status: (status) => {
      // The end comes from `ended`, which also has the error and the owner of the guest.
      if (!isEnded(status)) journal.applyStatus(migration, status);
    },
    pass: (pass) => journal.applyPass(migration, pass),
    passEnded: (figures) => {
      migration.dirtyBytesBySync = [...migration.dirtyBytesBySync, figures.dirtyBytes].slice(-SYNCS_KEPT);
      migration.recorder?.passEnded(figures);
      parts.changes.bump();
    },
    shared: (id) => journal.applySharedId(migration, id),
    limitVcpus: () => parts.dirtyLimits.throttle(parts.settings.vcpuDirtyLimit()),
    guestStopped: () => guestStopped(guest),
    guestResumed: () => guestResumed(guest),
    rejected: () => {},
    released,
    releaseDisks: async () => {
      migration.hasReleasedDisks = disks.isActive;
      await disks.deactivate();
    },
  };
}

async function endMigration(parts: OutgoingParts, migration: CurrentMigration, end: MigrationEnd): Promise<void> {
  const { guest, hypervisor, journal, note, report } = parts;
  const fault = end.guest === 'here' && migration.hasReleasedDisks ? await takeDisksBack(parts) : null;
  const ending: Ending = { status: end.status, error: withDisks(failureOf(end), fault), guest: end.guest };
  try {
    if (end.guest === 'unknown' || fault !== null) await guestStaysStopped(guest);
    else if (end.status === 'completed' || end.guest !== 'here') guestLeft(guest);
  } catch (error) {
    // The migration has ended nevertheless, and waiting requests must see its end.
    report(error);
  }
  journal.applyEnd(migration, ending);
  const advice = noteOf(end);
  if (advice !== null) note(`migration ${migration.id} has completed. ${advice}`, { guest: end.guest });
  if (end.guest === 'here' && fault === null) {
    // A worker that died could not release the vCPUs.
    if (hypervisor.isHeldFor('migration')) hypervisor.release('migration');
    guestResumed(guest);
  }
}

/** Activates the disks for a guest that stays here. @returns the error if they cannot be activated, or null. */
async function takeDisksBack({ disks, report }: OutgoingParts): Promise<TransferError | null> {
  try {
    await disks.activate();
    return null;
  } catch (error) {
    report(error);
    return diskFailure(error);
  }
}

function withDisks(error: TransferError | null, fault: TransferError | null): TransferError | null {
  if (fault === null) return error;
  const advice = `The guest stays stopped here: ${fault.message} Let it go on with cont once they can be used.`;
  return error === null ? { ...fault, message: advice } : { ...error, message: `${error.message} ${advice}` };
}

/** The end of a migration whose engine died: the guest is here, unless the target may have started it. */
function brokenEnd(error: unknown, isHandedOver: boolean): MigrationEnd {
  return { status: 'failed', error: engineFailure(error), guest: isHandedOver ? 'unknown' : 'here' };
}
