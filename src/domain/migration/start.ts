import type { Context } from '../context.ts';
import type { Begun, MigrateArguments } from '../domain.ts';
import { DomainError } from '../errors.ts';
import { withReserve } from '../jobs/with-reserve.ts';
import { activateDisks } from '../machine/disks.ts';
import { guestLeft, guestResumed, guestStaysStopped, guestStopped } from '../machine/migration-steps.ts';
import { logMigrationBegan } from '../outcomes.ts';
import type { MigrationRecord } from '../store-ports.ts';
import type {
  MigrationAddress,
  MigrationEnd,
  OutgoingPlan,
  TransferError,
  TransferListener,
} from '../transfer-port.ts';
import { giveDescriptorAway } from './address.ts';
import { applyEnd, applySharedId, applyStatus, type Ending, emitStatus } from './apply.ts';
import { readAddress } from './channels.ts';
import { comparedUuid } from './compared-uuid.ts';
import type { CurrentMigration } from './current-migration.ts';
import { DirtyThrottle } from './dirty-throttle.ts';
import { diskFailure, engineFailure, failureOf } from './failure.ts';
import { ageOf, newMigration, newRecord, recorderOf } from './record.ts';
import { isEnded } from './status.ts';
import { refuseUnsuitableTransport } from './transport.ts';
import { noteOf } from './unconfirmed.ts';
import { refuseWhileJobNeedsMachine } from './waiting-jobs.ts';

/**
 * Starts an outgoing migration: the row is there when this returns; that nobody answers is told by its status later.
 * @throws DomainError
 */
export function startMigration(
  context: Context,
  arguments_: MigrateArguments,
  begun?: Begun<MigrationRecord>,
): MigrationRecord {
  const address = readAddress(arguments_, 'connect', context);
  refuseUnsuitableTransport(address, context.settings);
  refuseLink(address, context);
  refuseUnlessReady(context, arguments_.resume === true);
  const migration = newMigration(context, 'outgoing');
  const plan = planFor(context, migration, address);
  const record = newRecord(context, migration, address);
  // A guest may leave a service whose disk is full.
  withReserve(context.store, () =>
    context.events.commit((emit) => {
      context.store.migrations.insert(record);
      emitStatus(emit, record, 'setup');
      begun?.(record);
    }),
  );
  context.current = migration;
  logMigrationBegan(context, record);
  if (context.settings.has('dirty-limit')) migration.throttle = new DirtyThrottle(context);
  context.changes.bump();
  try {
    const transfer = context.fdSets.lend(address, (lent) =>
      context.engine.startOutgoing({ ...plan, address: lent.address }, listenerFor(context, migration, lent.release)),
    );
    transfer.countFrom(ageOf(context, migration));
    migration.transfer = transfer;
    giveDescriptorAway(context.fds, address);
    const end = transfer.ended.catch((error: unknown) => brokenEnd(error, transfer.status.isHandedOver()));
    void end.then((known) => endMigration(context, migration, known)).catch(context.report);
  } catch (error) {
    applyEnd(context, migration, { status: 'failed', error: engineFailure(error), guest: 'here' });
    return { ...record, status: 'failed' };
  }
  migration.recorder = recorderOf(context, migration);
  migration.recorder.start();
  return record;
}

/** A link would only be found when the file is opened: after the request was accepted. */
function refuseLink(address: MigrationAddress, { deviceFiles, fileRoot }: Context): void {
  if (address.transport !== 'file' || address.descriptor !== undefined) return;
  const refusal = deviceFiles.refusalOfLink({ fileRoot, path: address.path });
  if (refusal !== null) throw new DomainError('not_a_plain_file', `${refusal}.`);
}

function refuseUnlessReady(context: Context, isResume: boolean): void {
  if (context.isClosing) throw new DomainError('shutting_down', 'The service is shutting down.');
  if (isResume) throw new DomainError('not_postcopy_paused', 'resume is only for a migration in postcopy-paused.');
  const { current } = context;
  if (current !== null && current.direction === 'outgoing' && !current.isEnded) {
    throw new DomainError('migration_in_progress', `Migration ${current.id} is in progress (${current.status}).`);
  }
  refuseWhileJobNeedsMachine(context);
  const state = context.runState.current;
  if (state === 'inmigrate') {
    throw new DomainError('machine_inmigrate', 'The guest is waiting for an incoming migration.');
  }
  if (state === 'postmigrate') {
    throw new DomainError(
      'machine_postmigrate',
      'The guest has left with an earlier migration; cont would take it back. ' +
        'Only do that while it runs nowhere else: a guest that runs twice destroys its disks.',
    );
  }
  if (!context.machine.isLoaded) {
    throw new DomainError('machine_not_loaded', 'This machine is empty until one has been adopted from a stream.');
  }
  const reasons = context.blockers.reasons();
  if (reasons.length > 0) throw new DomainError('migration_blocked', `Migration is blocked: ${reasons.join('; ')}`);
}

/** @throws DomainError while what a blocker would forbid is under way. */
export function refuseBlockerTooLate({ current, runState, jobs }: Context): void {
  if (current !== null && current.direction === 'outgoing' && !current.isEnded) {
    throw new DomainError('migration_in_progress', `Migration ${current.id} is in progress (${current.status}).`);
  }
  if (runState.current !== 'save-vm') return;
  const job = jobs.holderOf('machine');
  const by = job === null ? '' : ` by job '${job}'`;
  throw new DomainError('job_in_progress', `The machine is being saved${by}.`);
}

function planFor(context: Context, { id }: CurrentMigration, address: MigrationAddress): OutgoingPlan {
  return {
    address,
    fileRoot: context.fileRoot,
    source: context.machine.transferSource(),
    capabilities: context.settings.enabled(),
    opensReturnPath: context.settings.opensReturnPath(),
    parameters: context.settings.live(),
    detectsZeroPages: context.settings.detectsZeroPages(),
    deadlines: context.deadlines,
    sharedId: id,
    uuid: comparedUuid(context),
  };
}

/** Syncs whose sizes are kept for the verdict. */
const SYNCS_KEPT = 8;

function listenerFor(context: Context, migration: CurrentMigration, released: () => void): TransferListener {
  return {
    status: (status) => {
      // The end is taken from `ended`, which also says why and who has the guest.
      if (!isEnded(status)) applyStatus(context, migration, status);
    },
    pass: (pass) => tellPass(context, migration, pass),
    passEnded: (figures) => {
      migration.dirtyBytesBySync = [...migration.dirtyBytesBySync, figures.dirtyBytes].slice(-SYNCS_KEPT);
      migration.recorder?.passEnded(figures);
      context.changes.bump();
      migration.throttle?.passEnded(figures);
    },
    shared: (id) => applySharedId(context, migration, id),
    guestStopped: () => guestStopped(context),
    guestResumed: () => guestResumed(context),
    rejected: () => {},
    released,
    releaseDisks: async () => {
      migration.hasReleasedDisks = context.blocks.isActive;
      await context.blocks.deactivate();
    },
  };
}

function tellPass(context: Context, migration: CurrentMigration, pass: number): void {
  if (migration.isEnded || migration.status === 'cancelling') return;
  try {
    context.events.commit((emit) => emit('MIGRATION_PASS', { pass, id: migration.id }));
  } catch (error) {
    context.report(error);
  }
  context.changes.bump();
}

async function endMigration(context: Context, migration: CurrentMigration, end: MigrationEnd): Promise<void> {
  const fault = end.guest === 'here' && migration.hasReleasedDisks ? await takeDisksBack(context) : null;
  const ending: Ending = { status: end.status, error: withDisks(failureOf(end), fault), guest: end.guest };
  try {
    if (end.guest === 'unknown' || fault !== null) await guestStaysStopped(context);
    else if (end.status === 'completed' || end.guest !== 'here') guestLeft(context);
  } catch (error) {
    // The migration has ended all the same, and whoever waits for it must be told.
    context.report(error);
  }
  applyEnd(context, migration, ending);
  const note = noteOf(end);
  if (note !== null) context.note(`migration ${migration.id} has completed. ${note}`, { guest: end.guest });
  if (end.guest === 'here' && fault === null) {
    // A worker that died could not let the vCPUs go.
    if (context.machine.isHeldFor('migration')) context.machine.release('migration');
    guestResumed(context);
  }
}

/** The guest is to go on here. @returns why it cannot, or null. */
async function takeDisksBack(context: Context): Promise<TransferError | null> {
  try {
    await activateDisks(context);
    return null;
  } catch (error) {
    context.report(error);
    return diskFailure(error);
  }
}

function withDisks(error: TransferError | null, fault: TransferError | null): TransferError | null {
  if (fault === null) return error;
  const what = `The guest stays stopped here: ${fault.message} Let it go on with cont once they can be used.`;
  return error === null ? { ...fault, message: what } : { ...error, message: `${error.message} ${what}` };
}

/** An engine whose promise breaks has died: the guest is here, unless the target may have started it already. */
function brokenEnd(error: unknown, isHandedOver: boolean): MigrationEnd {
  return { status: 'failed', error: engineFailure(error), guest: isHandedOver ? 'unknown' : 'here' };
}
