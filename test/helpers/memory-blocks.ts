// Block device nodes in memory, with the effects of a block engine but without images. A test can hold a step, let it
// fail, and read the order of the calls.

import type {
  BlockNode,
  Compaction,
  CompactPlan,
  DeletePlan,
  DigestReading,
  NodeSnapshot,
  PartDigests,
  RenamePlan,
  SaveTask,
  SnapshotError,
  SnapshotTask,
  VerifyPlan,
  VerifyResult,
} from '../../src/domain/ports/block-nodes.ts';
import type { LoadedMachine } from '../../src/engine/memory/machine-state.ts';
import type { BlockEngine, LoadPlan, LoadTask, SavePlan } from '../../src/engine/snapshot/block-messages.ts';

/** The steps at which a task can be held or fail. */
export type Step =
  | 'save'
  | 'digests'
  | 'load'
  | 'apply'
  | 'revert'
  | 'release'
  | 'delete'
  | 'rename'
  | 'verify'
  | 'compact'
  | 'read-digests'
  | 'apply-disks';

const CANCELLED: SnapshotError = { code: 'job_cancelled', message: 'The job was cancelled.' };
const VERIFIED: VerifyResult = {
  hadDigests: true,
  digests: [{ kind: 'disk', name: 'disk0', digest: 'ab'.repeat(32) }],
  checkedBytes: 65536,
};

const COMPACTED: Omit<Compaction, 'node'> = {
  fileBytesBefore: 2 ** 30,
  fileBytes: 2 ** 20,
  allocatedBytesBefore: 2 ** 21,
  allocatedBytes: 2 ** 20,
  movedBytes: 2 ** 19,
};

const KEPT: PartDigests = {
  ramBlocks: [{ name: 'vm0.ram', bytes: 2 ** 20, digest: 'cd'.repeat(32) }],
  deviceState: 'ef'.repeat(32),
  disk: 'ab'.repeat(32),
};

type Gate = { readonly opened: Promise<void>; readonly open: () => void };
type MemoryNode = { readonly name: string; readonly isReadOnly: boolean; snapshots: readonly NodeSnapshot[] };

export class MemoryBlocks implements BlockEngine {
  /** The started steps in order, with the tag: `save a`, `digests a`. */
  readonly log: string[] = [];
  /** Steps that fail, with their errors. */
  readonly failures = new Map<Step, SnapshotError>();
  readonly saves: SavePlan[] = [];
  readonly loads: LoadPlan[] = [];
  readonly tasks: MemoryTask<unknown>[] = [];
  /** The content of each disk: the tag that it was last switched to, or `guest`. */
  readonly disks = new Map<string, string>();
  /** The result of the next load. */
  loaded: Partial<LoadedMachine> = {};
  verified: VerifyResult = VERIFIED;
  /** The digests of a node, if they differ from the default. */
  readonly kept = new Map<string, DigestReading>();
  isClosed = false;
  isActive = true;
  /** Errors of the activation or deactivation of the images. */
  readonly switchFailures = new Map<'activate' | 'deactivate', SnapshotError>();
  #nodes: readonly MemoryNode[];
  #listed: readonly BlockNode[] = [];
  readonly #gates = new Map<Step, Gate>();
  readonly #listeners: (() => void)[] = [];

  constructor(nodes: readonly { readonly name: string; readonly isReadOnly?: boolean }[] = [{ name: 'disk0' }]) {
    this.#nodes = nodes.map(({ name, isReadOnly = false }) => ({ name, isReadOnly, snapshots: [] }));
    for (const { name } of nodes) this.disks.set(name, 'guest');
    this.#changed();
  }

  nodes(): readonly BlockNode[] {
    return this.#listed;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  activate(): Promise<void> {
    return this.#switch('activate');
  }

  deactivate(): Promise<void> {
    return this.#switch('deactivate');
  }

  /** Tasks wait at this step until the gate is opened. */
  hold(step: Step): Gate {
    const { promise, resolve } = Promise.withResolvers<void>();
    const gate = {
      opened: promise,
      open: () => {
        this.#gates.delete(step);
        resolve();
      },
    };
    this.#gates.set(step, gate);
    return gate;
  }

  /** Adds a snapshot to the list of a node. */
  put(node: string, snapshot: Partial<NodeSnapshot> & { readonly tag: string }): void {
    this.#change(node, (snapshots) => [...snapshots, { ...BARE, id: nextId(snapshots), ...snapshot }]);
  }

  /** Adds many snapshots at once. */
  putMany(node: string, count: number): void {
    const many = Array.from({ length: count }, (_, at) => ({
      ...BARE,
      id: String(at + 1),
      tag: `snapshot ${at}`,
      dateMs: BARE.dateMs + at,
    }));
    this.#change(node, (snapshots) => [...snapshots, ...many]);
  }

  tags(node = 'disk0'): readonly string[] {
    return this.#node(node).snapshots.map(({ tag }) => tag);
  }

  save(plan: SavePlan): SaveTask {
    this.saves.push(plan);
    const task = this.#task<void>(plan.tag);
    const captured = Promise.withResolvers<void>();
    captured.promise.catch(() => {});
    task.run(async () => {
      try {
        await task.step('save');
        for (const node of plan.devices) this.put(node, partOf(plan, node));
        captured.resolve();
        await task.step('digests');
      } catch (error) {
        for (const node of plan.devices) this.#remove(node, plan.tag);
        captured.reject(error);
        throw error;
      }
    });
    return Object.assign(task, { captured: captured.promise });
  }

  rename({ tag, as, dateMs, devices }: RenamePlan): SnapshotTask {
    const task = this.#task<void>(as);
    task.run(async () => {
      await task.step('rename');
      for (const node of devices) {
        this.#change(node, (snapshots) =>
          snapshots
            .filter((one) => one.tag !== as || one.dateMs === dateMs)
            .map((one) => (one.tag === tag ? { ...one, tag: as } : one)),
        );
      }
    });
    return task;
  }

  load(plan: LoadPlan): LoadTask {
    this.loads.push(plan);
    const task = this.#task<void>(plan.tag);
    const before = new Map(this.disks);
    const decided = Promise.withResolvers<void>();
    const loaded = Promise.withResolvers<LoadedMachine>();
    loaded.promise.catch(() => {});
    task.run(async () => {
      try {
        await task.step('load');
      } catch (error) {
        loaded.reject(error);
        throw error;
      }
      loaded.resolve({ globalState: 'running', state: NO_DEVICES, ...this.loaded });
      await Promise.race([decided.promise, task.cancelled]);
    });
    const turn = async (step: 'apply' | 'revert', work: () => void): Promise<void> => {
      task.isPastCancel = true;
      try {
        await task.step(step);
      } catch (error) {
        decided.reject(error);
        throw error;
      }
      work();
    };
    return Object.assign(task, {
      loaded: loaded.promise,
      apply: () => turn('apply', () => this.#turn(plan.devices, plan.tag)),
      revert: async () => {
        await turn('revert', () => {
          for (const [node, held] of before) this.disks.set(node, held);
        });
        decided.reject(CANCELLED);
      },
      release: () => {
        task.step('release').then(decided.resolve, decided.reject);
      },
    });
  }

  delete({ tag, devices }: DeletePlan): SnapshotTask {
    return this.#simple('delete', tag, () => {
      for (const node of devices) this.#remove(node, tag);
    });
  }

  verify({ tag }: VerifyPlan): SnapshotTask<VerifyResult> {
    return this.#simple('verify', tag, () => this.verified);
  }

  compact({ devices }: CompactPlan): SnapshotTask<readonly Compaction[]> {
    return this.#simple('compact', devices.join(), () => devices.map((node) => ({ ...COMPACTED, node })));
  }

  digests({ tag, devices }: DeletePlan): SnapshotTask<readonly DigestReading[]> {
    return this.#simple('read-digests', tag, () =>
      devices.map((node) => this.kept.get(node) ?? { node, digests: KEPT, fault: null }),
    );
  }

  applyDisks({ tag, devices }: DeletePlan): SnapshotTask {
    return this.#simple('apply-disks', tag, () => this.#turn(devices, tag));
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  /** A task reaches a step: it is logged, waits if the step is held, and fails if a failure is set. */
  async reach(task: MemoryTask<unknown>, step: Step): Promise<void> {
    this.log.push(`${step} ${task.tag}`);
    const gate = this.#gates.get(step);
    if (gate !== undefined) await (task.isPastCancel ? gate.opened : Promise.race([gate.opened, task.cancelled]));
    if (task.isCancelled && !task.isPastCancel) throw CANCELLED;
    const failure = this.failures.get(step);
    if (failure !== undefined) throw failure;
  }

  #task<R>(tag: string): MemoryTask<R> {
    const task: MemoryTask<R> = new MemoryTask<R>(
      tag,
      (step): Promise<void> => this.reach(task as MemoryTask<unknown>, step),
    );
    this.tasks.push(task as MemoryTask<unknown>);
    return task;
  }

  #simple<R>(step: Step, tag: string, work: () => R): SnapshotTask<R> {
    const task = this.#task<R>(tag);
    task.run(async () => {
      await task.step(step);
      return work();
    });
    return task;
  }

  async #switch(to: 'activate' | 'deactivate'): Promise<void> {
    this.log.push(to);
    await Promise.resolve();
    const failure = this.switchFailures.get(to);
    if (failure !== undefined) throw failure;
    this.isActive = to === 'activate';
    this.#changed();
  }

  #turn(devices: readonly string[], tag: string): void {
    for (const node of devices) this.disks.set(node, tag);
  }

  #remove(node: string, tag: string): void {
    this.#change(node, (snapshots) => snapshots.filter((one) => one.tag !== tag));
  }

  #node(name: string): MemoryNode {
    const found = this.#nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`there is no node ${name}`);
    return found;
  }

  #change(name: string, change: (snapshots: readonly NodeSnapshot[]) => readonly NodeSnapshot[]): void {
    const node = this.#node(name);
    node.snapshots = change(node.snapshots);
    this.#changed();
  }

  #changed(): void {
    const { isActive } = this;
    this.#listed = this.#nodes.map((node) => ({
      ...node,
      path: `/data/${node.name}.qcow2`,
      isActive,
      diskBytes: 2 ** 30,
      readOnlyReason: null,
    }));
    for (const listener of this.#listeners) listener();
  }
}

/** One task; most of it is in the function of `run`. */
export class MemoryTask<R> implements SnapshotTask<R> {
  readonly tag: string;
  readonly step: (step: Step) => Promise<void>;
  /** Rejects when it is cancelled. */
  readonly cancelled: Promise<never>;
  readonly calls: string[] = [];
  ended!: Promise<R>;
  isCancelled = false;
  isPastCancel = false;
  current = 0;
  #cancel: (error: SnapshotError) => void;

  constructor(tag: string, step: (step: Step) => Promise<void>) {
    this.tag = tag;
    this.step = step;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    this.cancelled = promise;
    this.#cancel = reject;
  }

  run(work: () => Promise<R>): void {
    this.ended = work();
    this.ended.catch(() => {});
  }

  progress(): { readonly current: number; readonly total: number } {
    return { current: this.current, total: 100 };
  }

  pause(): void {
    this.calls.push('pause');
  }

  resume(): void {
    this.calls.push('resume');
  }

  cancel(): void {
    this.calls.push('cancel');
    if (this.isPastCancel) return;
    this.isCancelled = true;
    this.#cancel(CANCELLED);
  }
}

const NO_DEVICES: LoadedMachine['state'] = { form: 'devices', bodies: [], memory: { segments: [], blocks: [] } };

const BARE: Omit<NodeSnapshot, 'id' | 'tag'> = {
  dateMs: 1_700_000_000_000,
  clockNs: 0n,
  vmStateBytes: 0,
  diskBytes: 2 ** 30,
  icount: null,
  hasDigests: true,
};

function partOf(plan: SavePlan, node: string): Partial<NodeSnapshot> & { tag: string } {
  const { tag, vmState, dateMs, clockNs, about = null } = plan;
  return { tag, dateMs, clockNs, about, vmStateBytes: node === vmState ? 2 ** 20 : 0 };
}

function nextId(snapshots: readonly NodeSnapshot[]): string {
  return String(Math.max(0, ...snapshots.map(({ id }) => Number(id))) + 1);
}
