import { DomainError, isErrorCode } from '../errors.ts';
import type { Changes, EventHub } from '../events/event-hub.ts';
import type { BlockNodes, SnapshotError } from '../ports/block-nodes.ts';
import type { HoldReason, RunControl } from '../ports/hypervisor.ts';
import type { Report } from '../ports/process.ts';
import { type RunState, RunStateHolder } from './run-state.ts';

export type GuestOptions = {
  readonly machine: RunControl;
  /** True if the machine begins in `inmigrate`. */
  readonly isAwaited: boolean;
  /** True if the guest does not run before a `cont`. */
  readonly startsPaused: boolean;
  readonly events: EventHub;
  readonly changes: Changes;
  readonly report: Report;
};

/**
 * The guest of one machine: its run state, and settings that last longer than a command. `guest-interruptions.ts` has
 * the steps of migrations and snapshots.
 */
export class Guest {
  readonly machine: RunControl;
  readonly runState: RunStateHolder;
  /** False if an arriving guest must stay stopped (--paused, or a stop while the machine is in `inmigrate`). */
  autostart: boolean;
  /** True in `inmigrate` while memory still holds the guest that left, because no other has begun to arrive. */
  hasLeft = false;
  readonly report: Report;
  readonly #events: EventHub;
  readonly #changes: Changes;

  constructor({ machine, isAwaited, startsPaused, events, changes, report }: GuestOptions) {
    this.machine = machine;
    this.autostart = !startsPaused;
    this.report = report;
    this.#events = events;
    this.#changes = changes;
    this.runState = new RunStateHolder(firstRunState({ machine, isAwaited, startsPaused }));
  }

  get state(): RunState {
    return this.runState.current;
  }

  /** Sets the hold that the first run state requires. Called once, at the start. */
  holdAtStart(): void {
    const reason = this.state === 'inmigrate' ? 'incoming' : this.autostart ? null : 'operator';
    if (reason !== null && !this.machine.isHeldFor(reason)) this.hold(reason);
  }

  /** Holds the vCPUs. An error is reported, not thrown. */
  hold(reason: HoldReason): void {
    void this.machine.hold(reason).catch(this.report);
  }

  /** Enters a run state; `running` emits RESUME. */
  enter(next: RunState): void {
    this.runState.to(next);
    if (next === 'running') this.emit('RESUME');
    this.changed();
  }

  /** Enters the run state of an interruption; emits STOP if the guest ran. */
  interrupt(by: 'finish-migrate' | 'save-vm' | 'restore-vm'): void {
    const before = this.runState.interrupt(by);
    if (before === 'running') this.emit('STOP');
    this.changed();
  }

  /** The state to return to; `paused` if a stop came before the guest stood still. */
  stateAfterInterruption(): RunState {
    const before = this.runState.interrupted;
    return before === 'running' && this.machine.isHeldFor('operator') ? 'paused' : before;
  }

  /** Writes and publishes an event; if it cannot be written, the error is reported. */
  emit(name: string, data?: Readonly<Record<string, unknown>>): void {
    this.#events.emitOrReport(name, data);
  }

  /** Counts a change, so that waiting requests look again. */
  changed(): void {
    this.#changes.bump();
  }
}

function firstRunState({
  machine,
  isAwaited,
  startsPaused,
}: Omit<GuestOptions, 'events' | 'changes' | 'report'>): RunState {
  if (isAwaited) return 'inmigrate';
  return startsPaused || !machine.canRun ? 'prelaunch' : 'running';
}

export type GuestDisksOptions = {
  readonly blocks: Pick<BlockNodes, 'isActive' | 'activate' | 'deactivate'>;
  /** Called after each activation: repairs the images that an earlier process left incomplete. */
  readonly onActivated: () => Promise<void>;
  readonly report: Report;
};

/**
 * The disks of the guest: their images are active here only while the guest is here
 * (docs/adr/0048-shared-disks-change-hands-at-switchover.md).
 */
export class GuestDisks {
  readonly #options: GuestDisksOptions;

  constructor(options: GuestDisksOptions) {
    this.#options = options;
  }

  get isActive(): boolean {
    return this.#options.blocks.isActive;
  }

  /**
   * Locks the images and reads them again.
   * @throws DomainError, such as `image_locked`: then all images are inactive.
   */
  async activate(): Promise<void> {
    try {
      await this.#options.blocks.activate();
    } catch (cause) {
      const { code = '', message = String(cause) } = (cause ?? {}) as Partial<SnapshotError>;
      const detail = `The guest's disks cannot be used here: ${message}`;
      throw new DomainError(isErrorCode(code) ? code : 'engine_failed', detail, { cause });
    }
    await this.#options.onActivated();
  }

  /** Flushes and unlocks the images. Rejects with a SnapshotError if that fails. */
  deactivate(): Promise<void> {
    return this.#options.blocks.deactivate();
  }

  /** Deactivates the images because the expected guest did not arrive. An error is reported. */
  async giveBack(): Promise<void> {
    await this.deactivate().catch(this.#options.report);
  }
}
