import type { MigrationFigures } from '../settings/declared-settings.ts';
import type { IncomingTransfer, OutgoingTransfer, TransferError } from '../transfer-port.ts';
import type { DirtyThrottle } from './dirty-throttle.ts';
import type { Recorder } from './recorder.ts';
import { isEnded, type MigrationStatus } from './status.ts';

/** A moment by both clocks of the service, in milliseconds: the wall clock may jump, the other one never does. */
export type Moment = { readonly wall: number; readonly monotonic: number };

/** The newest migration of this process: its status as it was last saved and told, which may trail the shared word. */
export class CurrentMigration {
  readonly id: string;
  readonly direction: 'outgoing' | 'incoming';
  /** The zero of all its times. */
  readonly began: Moment;
  /** Resolves when the end has been saved and told. */
  readonly settled: Promise<void>;
  status: MigrationStatus = 'setup';
  /** What the row in the store says: differs from `status` only after a write that failed. */
  savedStatus: MigrationStatus = 'setup';
  error: TransferError | null = null;
  /** Under which the other side knows it, too; null until that has been told. */
  sharedId: string | null = null;
  /** Null until the engine took the plan. */
  transfer: OutgoingTransfer | IncomingTransfer | null = null;
  recorder: Recorder | null = null;
  /** True once the disks of a guest that leaves were asked for, and were active until then. */
  hasReleasedDisks = false;
  /** With the capability dirty-limit. */
  throttle: DirtyThrottle | null = null;
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
  outgoing(): OutgoingTransfer | null {
    return this.direction === 'outgoing' ? (this.transfer as OutgoingTransfer | null) : null;
  }

  /** Its transfer, if it comes in. */
  incoming(): IncomingTransfer | null {
    return this.direction === 'incoming' ? (this.transfer as IncomingTransfer | null) : null;
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

  /** Tells everyone who waits for the end. */
  settle(): void {
    this.#settle();
  }
}
