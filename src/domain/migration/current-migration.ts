import type { IncomingSession, MigrationAddress, OutgoingSession, TransferError } from '../ports/migration-session.ts';
import type { LiveParameters, MigrationFigures } from '../settings/declared-settings.ts';
import type { SettingsFollower } from '../settings/settings-use-cases.ts';
import { isEnded, type MigrationStatus } from './migration-status.ts';
import type { Recorder } from './recorder.ts';

/** A moment by both clocks of the service, in milliseconds: the wall clock may jump, the other one never does. */
export type Moment = { readonly wall: number; readonly monotonic: number };

/** One migration of this process. Its status is the one that was saved and published last; the shared word may be ahead. */
export class CurrentMigration {
  readonly id: string;
  readonly direction: 'outgoing' | 'incoming';
  /** The zero of all its times. */
  readonly began: Moment;
  /** Resolves when the end has been saved and published. */
  readonly settled: Promise<void>;
  status: MigrationStatus = 'setup';
  /** What the row in the store says: differs from `status` only after a write that failed. */
  savedStatus: MigrationStatus = 'setup';
  error: TransferError | null = null;
  /** The id under which both sides know it; null until the target has sent it. */
  sharedId: string | null = null;
  /** Null until the engine took the plan. */
  transfer: OutgoingSession | IncomingSession | null = null;
  recorder: Recorder | null = null;
  /** True once the disks of a guest that leaves were deactivated for this migration. */
  hasReleasedDisks = false;
  /** Restores the limits of the vCPUs that the capability dirty-limit has replaced. */
  endThrottle: () => void = () => {};
  /** The most of the first pass that was ever shown, in percent. */
  firstPassPercent = 0;
  /** Dirty bytes found by the newest syncs, oldest first. */
  dirtyBytesBySync: readonly number[] = [];
  #frozen: MigrationFigures | null = null;
  #ofRevision: MigrationFigures | null = null;
  #settle: () => void = () => {};

  constructor({ id, direction, began }: Pick<CurrentMigration, 'id' | 'direction' | 'began'>) {
    this.id = id;
    this.direction = direction;
    this.began = began;
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get isEnded(): boolean {
    return isEnded(this.status);
  }

  /** Its transfer, if it goes out. */
  outgoing(): OutgoingSession | null {
    return this.direction === 'outgoing' ? (this.transfer as OutgoingSession | null) : null;
  }

  /** Its transfer, if it comes in. */
  incoming(): IncomingSession | null {
    return this.direction === 'incoming' ? (this.transfer as IncomingSession | null) : null;
  }

  /** Figures now, or as they were at the end; null before the engine took the plan. */
  figures(): MigrationFigures | null {
    return this.#frozen ?? this.transfer?.figures() ?? null;
  }

  /** The same, read once for each revision: the time that has passed does not change between two of them. */
  figuresOfRevision(): MigrationFigures | null {
    const figures = this.figures();
    if (figures?.revision !== this.#ofRevision?.revision) this.#ofRevision = figures;
    return this.#ofRevision;
  }

  /** Revision of figures that still change. */
  liveRevision(): number {
    return this.#frozen === null ? (this.transfer?.figures().revision ?? 0) : 0;
  }

  /** Keeps the figures as they are, so that the engine may give up its memory. */
  freeze(): MigrationFigures | null {
    this.#frozen = this.figures();
    return this.#frozen;
  }

  /** Resolves `settled`. */
  settle(): void {
    this.#settle();
  }
}

/** A listener for guests as the other use cases see it. */
export interface Listener {
  /** The migration that a sender is sending; null while no sender has come. */
  readonly sent: CurrentMigration | null;
  /** The bound address; null before it is bound and after it was closed. */
  readonly address: MigrationAddress | null;
  setCapabilities(capabilities: readonly string[]): void;
  /** Gives up the migration that is awaited or comes in; resolves when nothing listens any more. */
  abort(): Promise<void>;
  /** Ends the migration that a sender is sending, unless its guest is here by then. Resolves at its end. */
  cancelSent(): Promise<void>;
  /** Ends the wait unless a sender has come. @returns false, and changes nothing, if one has. */
  stopListening(): Promise<boolean>;
}

/** The migrations that this process knows of at a time. */
export class Migrations implements SettingsFollower {
  /** The newest migration, running or ended; null before the first. */
  current: CurrentMigration | null = null;
  /** Listens for guests, also after a migration that failed; null if nothing listens. */
  listener: Listener | null = null;

  /** The newest migration if it has not ended. */
  get running(): CurrentMigration | null {
    return this.current === null || this.current.isEnded ? null : this.current;
  }

  get status(): MigrationStatus {
    return this.current?.status ?? 'none';
  }

  setCapabilities(enabled: readonly string[]): void {
    this.listener?.setCapabilities(enabled);
  }

  setParameters(parameters: LiveParameters): void {
    this.running?.outgoing()?.setParameters(parameters);
  }
}
