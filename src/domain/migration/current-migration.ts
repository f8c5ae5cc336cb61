import type { IncomingSession, MigrationAddress, OutgoingSession, TransferError } from '../ports/migration-session.ts';
import type { LiveParameters, MigrationFigures } from '../settings/declared-settings.ts';
import type { SettingsFollower } from '../settings/settings-use-cases.ts';
import { isEnded, type MigrationStatus } from './migration-status.ts';
import type { Recorder } from './recorder.ts';

/** Both clocks of the service at one time, in milliseconds: the wall clock may jump, the monotonic one does not. */
export type ClockReading = { readonly wall: number; readonly monotonic: number };

/** One migration of this process. Its status is the newest saved and published one; the shared status may be newer. */
export class CurrentMigration {
  readonly id: string;
  readonly direction: 'outgoing' | 'incoming';
  /** The start of the migration, to which all its times are relative. */
  readonly began: ClockReading;
  /** Resolves when the end has been saved and published. */
  readonly settled: Promise<void>;
  status: MigrationStatus = 'setup';
  /** Status of the row in the store. It differs from `status` only after a failed write. */
  savedStatus: MigrationStatus = 'setup';
  error: TransferError | null = null;
  /** The id that both sides use for the migration; null until the target has sent it. */
  sharedId: string | null = null;
  /** Null until the engine has accepted the request. */
  transfer: OutgoingSession | IncomingSession | null = null;
  recorder: Recorder | null = null;
  /** True once the disks were deactivated for this migration, which sends the guest away. */
  hasReleasedDisks = false;
  /** Restores the limits of the vCPUs that the capability dirty-limit has replaced. */
  endThrottle: () => void = () => {};
  /** Largest percentage of the first pass that was ever shown. */
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

  /** The session of an outgoing migration; null for an incoming one. */
  outgoing(): OutgoingSession | null {
    return this.direction === 'outgoing' ? (this.transfer as OutgoingSession | null) : null;
  }

  /** The session of an incoming migration; null for an outgoing one. */
  incoming(): IncomingSession | null {
    return this.direction === 'incoming' ? (this.transfer as IncomingSession | null) : null;
  }

  /** Current figures, or the figures at the end; null before the engine has accepted the request. */
  figures(): MigrationFigures | null {
    return this.#frozen ?? this.transfer?.figures() ?? null;
  }

  /** Like `figures`, but read once per revision, so that times do not change between two revisions. */
  figuresOfRevision(): MigrationFigures | null {
    const figures = this.figures();
    if (figures?.revision !== this.#ofRevision?.revision) this.#ofRevision = figures;
    return this.#ofRevision;
  }

  /** Revision of the figures; 0 if they are frozen. */
  liveRevision(): number {
    return this.#frozen === null ? (this.transfer?.figures().revision ?? 0) : 0;
  }

  /** Keeps the current figures, so that the engine may free its memory. */
  freeze(): MigrationFigures | null {
    this.#frozen = this.figures();
    return this.#frozen;
  }

  /** Resolves `settled`. */
  settle(): void {
    this.#settle();
  }
}

/** A listener for guests, for the other use cases. */
export interface Listener {
  /** The migration that a sender is sending; null while no sender has come. */
  readonly sent: CurrentMigration | null;
  /** The bound address; null before it is bound and after it was closed. */
  readonly address: MigrationAddress | null;
  setCapabilities(capabilities: readonly string[]): void;
  /** Ends the migration that waits for a sender or receives a guest; resolves when nothing listens any more. */
  abort(): Promise<void>;
  /** Ends the migration that a sender is sending, unless its guest has already arrived. Resolves at its end. */
  cancelSent(): Promise<void>;
  /** Stops listening if no sender has come. @returns false, without effect, if one has. */
  stopListening(): Promise<boolean>;
}

/** The newest migration and the listener of this process. */
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
