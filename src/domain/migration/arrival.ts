import type { Announcer } from '../announce/announcer.ts';
import type { Guest, GuestDisks } from '../guest/guest.ts';
import { guestArrived, runsOnArrival } from '../guest/guest-interruptions.ts';
import type { IncomingSession, LoadedGuest } from '../ports/migration-session.ts';
import type { Settings } from '../settings/settings.ts';
import type { CurrentMigration } from './current-migration.ts';
import { adoptError, diskFailure } from './migration-failure.ts';

export type ArrivalParts = {
  readonly guest: Guest;
  readonly disks: GuestDisks;
  readonly settings: Pick<Settings, 'has'>;
  readonly announcer: Pick<Announcer, 'afterMigration'>;
};

export type Arrival = {
  readonly session: IncomingSession;
  readonly loaded: LoadedGuest;
  /** The migration that brought the guest, if its row is still open. */
  readonly migration: () => CurrentMigration | null;
};

/** Adopts a guest and activates its disks, or refuses the guest: then guest and disks stay at the source. */
export async function takeOver(parts: ArrivalParts, { session, loaded, migration }: Arrival): Promise<void> {
  const { guest, disks, settings, announcer } = parts;
  if (runsOnArrival(guest, loaded.globalState) || !settings.has('late-block-activate')) {
    try {
      await disks.activate();
    } catch (error) {
      session.refused(diskFailure(error));
      return;
    }
    if (!session.isOpen) return disks.giveBack();
  }
  try {
    loaded.adopt();
  } catch (error) {
    await disks.giveBack();
    session.refused(adoptError(error));
    return;
  }
  guestArrived(guest, loaded.globalState);
  session.started();
  // As in QEMU, a guest that stays stopped is announced too; an image never runs. The guest does not wait for it.
  const id = migration()?.id;
  if (guest.machine.canRun && id !== undefined) announcer.afterMigration(id);
}
