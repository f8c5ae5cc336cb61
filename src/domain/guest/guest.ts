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
 * The guest of one machine: its run state, and settings that outlive a single command. `guest-interruptions.ts` has the
 * steps of migrations and snapshots.
 */
export class Guest {
  readonly machine: RunControl;
  readonly runState: RunStateHolder;
  /** False if a guest that arrives is to stay stopped (--paused, or a stop while the machine is in `inmigrate`). */
  autostart: boolean;
  /** True in `inmigrate` while the guest that left is still whole here: no other guest has begun to arrive since. */
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

  /** Holds the vCPUs as the first run state asks for; once, before anything else happens to the guest. */
  holdAtStart(): void {
    const reason = this.state === 'inmigrate' ? 'incoming' : this.autostart ? null : 'operator';
    if (reason !== null && !this.machine.isHeldFor(reason)) this.hold(reason);
  }

  /** Holds the vCPUs; a machine that cannot is reported. */
  hold(reason: HoldReason): void {
    void this.machine.hold(reason).catch(this.report);
  }

  /** Enters a run state; `running` is announced by RESUME. */
  enter(next: RunState): void {
    this.runState.to(next);
    if (next === 'running') this.emit('RESUME');
    this.changed();
  }

  /** Enters a run state that ends with the interruption; STOP announces it if the guest ran. */
  interrupt(by: 'finish-migrate' | 'save-vm' | 'restore-vm'): void {
    const before = this.runState.interrupt(by);
    if (before === 'running') this.emit('STOP');
    this.changed();
  }

  /** The state to return to after an interruption. A stop that began before the guest stood still counts too. */
  stateAfterInterruption(): RunState {
    const before = this.runState.interrupted;
    return before === 'running' && this.machine.isHeldFor('operator') ? 'paused' : before;
  }

  /** Writes and publishes an event; the guest's change stands even if the event cannot be written. */
  emit(name: string, data?: Readonly<Record<string, unknown>>): void {
    this.#events.emitOrReport(name, data);
  }

  /** Counts a change for those who wait for one. */
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
  /** Called after each activation: repairs what an earlier process left unfinished in the images. */
  readonly onActivated: () => Promise<void>;
  readonly report: Report;
};

/**
 * The guest's disks go where the guest goes: their images are active here only while the guest is here
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
   * Takes the locks of the images and reads them anew.
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

  /** Flushes the images and gives up their locks. Rejects with a SnapshotError if that fails. */
  deactivate(): Promise<void> {
    return this.#options.blocks.deactivate();
  }

  /** Deactivates the images after a guest that was awaited did not arrive. A fault is reported. */
  async giveBack(): Promise<void> {
    await this.deactivate().catch(this.#options.report);
  }
}
