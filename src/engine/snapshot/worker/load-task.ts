import type { PreparedApply } from '../../../block/image.ts';
import type { DeletePlan } from '../../../domain/ports/block-nodes.ts';
import type { LoadedMachine } from '../../memory/machine-state.ts';
import type { LoadPlan, LoadStep } from '../block-messages.ts';
import { SnapshotFailure, TaskCancelled, type TaskControl } from '../task-control.ts';
import { checkDisk, readMachine } from './checked-content.ts';
import type { Nodes } from './open-nodes.ts';
import { DamageList, needSnapshot, openStored, type StoredSnapshot } from './stored-snapshot.ts';

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

/** Switches the disks of all nodes to a snapshot, without a machine. */
export async function applyDisks({ tag, devices }: DeletePlan, nodes: Nodes, control: TaskControl): Promise<void> {
  control.addTotal(devices.length);
  const disks = new DiskSwitch();
  try {
    for (const name of devices) {
      await control.breathe();
      const image = nodes.image(name);
      await image.assertPresent();
      await disks.prepare(name, image.prepareApply(needSnapshot(image, tag, name)));
    }
    control.check();
  } catch (error) {
    await disks.abandon();
    throw error;
  }
  await disks.commit();
  await disks.release();
  control.addCurrent(devices.length);
}

type Prepared = { readonly node: string; readonly apply: PreparedApply };

/**
 * Switches the disks of several nodes to a snapshot: all of them, or none. After `commit` call `revert` or `release`;
 * before it `abandon`.
 */
export class DiskSwitch {
  readonly #prepared: Prepared[] = [];

  /** Adds a disk. After an error call `abandon`. */
  async prepare(node: string, made: Promise<PreparedApply>): Promise<void> {
    this.#prepared.push({ node, apply: await made });
  }

  /**
   * Switches all disks. If one fails, the disks before it are switched back and the others are abandoned.
   * @throws SnapshotFailure `disks_in_doubt` if a disk is not known to have its old content.
   */
  async commit(): Promise<void> {
    for (const [index, { node, apply }] of this.#prepared.entries()) {
      try {
        await apply.commit();
      } catch (error) {
        const switched = this.#prepared.slice(0, index).reverse();
        const failed = [
          ...(await eachOf(switched, (disk) => disk.revert())),
          ...(await eachOf(this.#prepared.slice(index), (disk) => disk.abandon())),
        ];
        this.#throwIfInDoubt([{ node, error }, ...failed]);
        if (failed.length > 0 && error instanceof Error) error.message += ` (and then: ${describe(failed)})`;
        throw error;
      }
    }
  }

  /**
   * Switches all disks back.
   * @throws SnapshotFailure `disks_in_doubt` if a disk is not known to have its old content.
   */
  async revert(): Promise<void> {
    const failed = await eachOf([...this.#prepared].reverse(), (disk) => disk.revert());
    this.#throwIfInDoubt(failed);
    throwFirst(failed);
  }

  async release(): Promise<void> {
    throwFirst(await eachOf(this.#prepared, (disk) => disk.release()));
  }

  async abandon(): Promise<void> {
    throwFirst(await eachOf(this.#prepared, (disk) => disk.abandon()));
  }

  #throwIfInDoubt(failed: readonly Failed[]): void {
    const doubtful = this.#prepared.filter(({ apply }) => apply.disk !== 'before').map(({ node }) => `'${node}'`);
    if (doubtful.length === 0) return;
    const message = `Disks of these nodes are, or may be, the snapshot's, and could not be switched back: ${doubtful.join(', ')}`;
    throw new SnapshotFailure('disks_in_doubt', `${message} (${describe(failed)}).`);
  }
}

type Failed = { readonly node: string; readonly error: unknown };

/** Runs `step` for all disks, also after errors. @returns the failed ones. */
async function eachOf(disks: readonly Prepared[], step: (disk: PreparedApply) => Promise<void>): Promise<Failed[]> {
  const failed: Failed[] = [];
  for (const { node, apply } of disks) {
    try {
      await step(apply);
    } catch (error) {
      failed.push({ node, error });
    }
  }
  return failed;
}

function throwFirst([first]: readonly Failed[]): void {
  if (first !== undefined) throw first.error;
}

function describe(failed: readonly Failed[]): string {
  return failed
    .map(({ node, error }) => `node ${node}: ${error instanceof Error ? error.message : String(error)}`)
    .join('; ');
}
