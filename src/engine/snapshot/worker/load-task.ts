import type { LoadedMachine } from '../../memory/machine-state.ts';
import type { LoadPlan } from '../block-engine-types.ts';
import type { LoadStep } from '../block-messages.ts';
import type { TaskControl } from '../task-control.ts';
import { SnapshotFailure, TaskCancelled } from '../task-failure.ts';
import { checkDisk, readMachine } from './checked-content.ts';
import { DiskSwitch } from './disk-switch.ts';
import type { Nodes } from './open-nodes.ts';
import { DamageList, openStored, type StoredSnapshot } from './stored-snapshot.ts';

/** Receiver of the events of a load. */
export type LoadListener = {
  loaded(machine: LoadedMachine): void;
  /** The step is done, or has failed; the load ends after a failure. */
  stepped(step: LoadStep, error: unknown): void;
  /** A failure that does not change the outcome. */
  fault(error: unknown): void;
};

/** The task looks for a step after this time without a message. */
const POLL_MS = 60_000;

/**
 * A load: reads and checks the snapshot while disks and guest are unchanged, then switches the disks at the step
 * `apply`. Before `apply` a cancel changes nothing; after it only the steps `revert` and `release` take effect.
 */
export class Load {
  readonly #plan: LoadPlan;
  readonly #nodes: Nodes;
  readonly #control: TaskControl;
  readonly #listener: LoadListener;
  readonly #disks = new DiskSwitch();
  readonly #steps: LoadStep[] = [];

  constructor(plan: LoadPlan, nodes: Nodes, task: { readonly control: TaskControl; readonly listener: LoadListener }) {
    this.#plan = plan;
    this.#nodes = nodes;
    this.#control = task.control;
    this.#listener = task.listener;
  }

  step(step: LoadStep): void {
    this.#steps.push(step);
    this.#control.wake();
  }

  async run(): Promise<void> {
    try {
      this.#listener.loaded(await this.#read());
      const first = await this.#nextStep({ mayCancel: true });
      if (first !== 'apply') throw new TaskCancelled();
    } catch (error) {
      await this.#disks.abandon().catch((fault: unknown) => this.#listener.fault(fault));
      throw error;
    }
    await this.#reported('apply', () => this.#apply());
    const second = await this.#nextStep({ mayCancel: false });
    if (second === 'release') {
      await this.#disks.release().catch((fault: unknown) => this.#listener.fault(fault));
    } else {
      await this.#reported('revert', () => this.#disks.revert());
      throw new SnapshotFailure(
        'machine_refused',
        'The machine did not take the snapshot; the disks were switched back.',
      );
    }
  }

  async #read(): Promise<LoadedMachine> {
    const { tag, vmState, devices, target, capabilities, uuid } = this.#plan;
    const damage = new DamageList(tag, { endsAtFirst: true });
    const names = [...new Set([vmState, ...devices])];
    const stored = await openStored(names, { tag, nodes: this.#nodes, damage });
    const holder = stored.find(({ node }) => node === vmState);
    if (holder === undefined || holder.reader.snapshot.vmStateBytes === 0) {
      throw new SnapshotFailure(
        'snapshot_without_vm_state',
        `Snapshot '${tag}' of node '${vmState}' holds no machine.`,
      );
    }
    const expected = { target, capabilities, uuid };
    const machine = await readMachine({ stored: holder, expected, damage, control: this.#control });
    const switched = stored.filter(({ node }) => devices.includes(node));
    for (const one of switched) await checkDisk(one, damage, this.#control);
    damage.throwIfAny();
    if (machine === null) throw new SnapshotFailure('engine_failed', 'the stream was read and gave no machine');
    await this.#prepare(switched);
    return machine;
  }

  async #prepare(stored: readonly StoredSnapshot[]): Promise<void> {
    for (const { node, image, reader } of stored) {
      await this.#control.breathe();
      await image.assertPresent();
      await this.#disks.prepare(node, image.prepareApply(reader.snapshot.id));
    }
    this.#control.check();
  }

  async #apply(): Promise<void> {
    try {
      for (const name of this.#plan.devices) await this.#nodes.image(name).assertPresent();
    } catch (error) {
      await this.#disks.abandon().catch((fault: unknown) => this.#listener.fault(fault));
      throw error;
    }
    await this.#disks.commit();
  }

  async #reported(step: LoadStep, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#listener.stepped(step, error);
      throw error;
    }
    this.#listener.stepped(step, null);
  }

  async #nextStep({ mayCancel }: { readonly mayCancel: boolean }): Promise<LoadStep> {
    const control = this.#control;
    for (;;) {
      const step = this.#steps.shift();
      if (step !== undefined) return step;
      if (mayCancel) control.check();
      await control.untilWoken(POLL_MS);
    }
  }
}
