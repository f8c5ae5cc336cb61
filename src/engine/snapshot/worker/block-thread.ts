import { BlockError } from '../../../block/image.ts';
import type { SnapshotError } from '../../../domain/ports/block-nodes.ts';
import { beginWorkerProgram, startBeating } from '../../session/worker-program.ts';
import { Heartbeat } from '../../shared/heartbeat.ts';
import {
  type FromBlockThread,
  type NodeSpec,
  nodesOfSave,
  type TaskOrder,
  type TaskResult,
  type ToBlockThread,
} from '../block-messages.ts';
import { DISK_STALL_MS, endThread, watchForStalls } from '../block-worker.ts';
import type { DiskServer } from '../disk-service.ts';
import { SnapshotFailure, TaskCells, TaskControl, toSnapshotError } from '../task-control.ts';
import type { Load } from './load-task.ts';
import { Nodes } from './open-nodes.ts';

/** Interval of the heartbeat of the event loop. */
const HEARTBEAT_MS = 500;

type Task = { readonly cells: TaskCells; readonly control: TaskControl; load: Load | null; ended: Promise<void> };

/**
 * The program of the block thread. It owns every image from `open` to `close`, and runs tasks concurrently; the domain
 * allows only one task at a time on a node. Modules of tasks are loaded with the first task.
 */
export class BlockThread {
  readonly #post: (message: FromBlockThread) => void;
  readonly #closed: () => void;
  readonly #tasks = new Map<number, Task>();
  readonly #disks: DiskServer[] = [];
  #heartbeat = new Heartbeat();
  #diskStallMs = DISK_STALL_MS;
  #isClosing = false;
  /** Resolves when no activation or deactivation is in progress. */
  #switched: Promise<void> = Promise.resolve();
  /** Null before `open`, and if it failed. */
  #nodes: Promise<Nodes | null> = Promise.resolve(null);

  /** @param closed called when all images are closed. */
  constructor(post: (message: FromBlockThread) => void, closed: () => void) {
    this.#post = post;
    this.#closed = closed;
  }

  receive(message: ToBlockThread): void {
    switch (message.type) {
      case 'open':
        this.#heartbeat = startBeating(message.heartbeat, HEARTBEAT_MS).heartbeat;
        this.#diskStallMs = message.diskStallMs;
        this.#nodes = this.#open(message.nodes, message.isActive);
        break;
      case 'task':
        this.#begin(message.task, message.order, new TaskCells(message.cells));
        break;
      case 'wake':
        this.#tasks.get(message.task)?.control.wake();
        break;
      case 'step':
        this.#tasks.get(message.task)?.load?.step(message.step);
        break;
      case 'guest-disk':
        void this.#serve(message);
        break;
      case 'close':
        void this.#close();
        break;
    }
  }

  async #open(specs: readonly NodeSpec[], isActive: boolean): Promise<Nodes | null> {
    try {
      const nodes = await Nodes.open(specs, { isActive, publish: (node) => this.#post({ type: 'node', node }) });
      this.#post({ type: 'opened', nodes: nodes.catalogue(), repairs: nodes.repairs() });
      return nodes;
    } catch (error) {
      const code = error instanceof BlockError ? error.code : 'image_io_error';
      const message = error instanceof Error ? error.message : String(error);
      this.#post({ type: 'not-opened', error: { code, message } });
      return null;
    }
  }

  #begin(number: number, order: TaskOrder, cells: TaskCells): void {
    const control = new TaskControl(cells, this.#heartbeat);
    const task: Task = { cells, control, load: null, ended: Promise.resolve() };
    this.#tasks.set(number, task);
    const switched = this.#switched;
    task.ended = switched.then(() => this.#run(number, order, task));
    if (isSwitch(order)) this.#switched = task.ended;
  }

  /** Never rejects. */
  async #run(number: number, order: TaskOrder, task: Task): Promise<void> {
    let result: TaskResult = null;
    let error: SnapshotError | null = null;
    const nodes = await this.#nodes;
    const endWatch = this.#watchDisks(order, nodes);
    try {
      if (nodes === null) throw new Error('the images are not open');
      result = await this.#work(number, order, { nodes, task });
    } catch (thrown) {
      error = toSnapshotError(thrown);
    }
    endWatch();
    this.#tasks.delete(number);
    nodes?.refresh(namesOf(order));
    this.#post({ type: 'ended', task: number, result, error });
  }

  /**
   * Ends this thread if a system call on a disk of the task hangs, because such a call cannot be ended in another way.
   * The task that only shows digests is not watched.
   */
  #watchDisks(order: TaskOrder, nodes: Nodes | null): () => void {
    if (nodes === null || order.kind === 'digests') return () => {};
    const watched = namesOf(order).flatMap((name) => {
      const image = nodes.callsOn(name);
      return image === null ? [] : [{ name, image }];
    });
    return watchForStalls(watched, this.#diskStallMs, (what) => void endThread(what));
  }

  async #work(
    number: number,
    order: TaskOrder,
    { nodes, task }: { readonly nodes: Nodes; readonly task: Task },
  ): Promise<TaskResult> {
    const { control } = task;
    switch (order.kind) {
      case 'save': {
        const { save } = await import('./save-task.ts');
        const captured = () => this.#post({ type: 'captured', task: number });
        await save(order.plan, nodes, { control, captured });
        return null;
      }
      case 'load': {
        const { Load } = await import('./load-task.ts');
        task.load = new Load(order.plan, nodes, { control, listener: this.#loadListener(number) });
        await task.load.run();
        return null;
      }
      case 'verify': {
        const { verify } = await import('./snapshot-tasks.ts');
        return verify(order.plan, nodes, control);
      }
      case 'compact': {
        const { compactImages } = await import('./snapshot-tasks.ts');
        return compactImages(order.plan, nodes, control);
      }
      case 'digests': {
        const { readDigests } = await import('./snapshot-tasks.ts');
        return readDigests(order.plan, nodes, control);
      }
      case 'activate': {
        const repairs = await nodes.activate();
        if (repairs.length > 0) this.#post({ type: 'repaired', repairs });
        for (const disk of this.#disks) disk.poll();
        return null;
      }
      case 'deactivate':
        await this.#deactivate(number, nodes);
        return null;
      case 'rename': {
        const { renameSnapshot } = await import('./snapshot-tasks.ts');
        await renameSnapshot(order.plan, nodes, control);
        return null;
      }
      case 'apply-disks': {
        const { applyDisks } = await import('./load-task.ts');
        await applyDisks(order.plan, nodes, control);
        return null;
      }
      case 'delete': {
        const { deleteSnapshot } = await import('./snapshot-tasks.ts');
        await deleteSnapshot(order.plan, nodes, control);
        return null;
      }
    }
  }

  /** Interrupts or finishes the other tasks, answers the guest's requests, and then releases the images. */
  async #deactivate(number: number, nodes: Nodes): Promise<void> {
    const others = [...this.#tasks].filter(([other]) => other < number).map(([, task]) => task);
    const message = 'The disks were handed over with the guest of a migration while this was under way.';
    for (const { control } of others) control.interrupt(new SnapshotFailure('node_inactive', message));
    await Promise.all(others.map(({ ended }) => ended));
    await Promise.all(this.#disks.map((disk) => disk.drain()));
    await nodes.deactivate();
  }

  #loadListener(task: number) {
    return {
      loaded: (machine) => this.#post({ type: 'loaded', task, machine }),
      stepped: (step, error) =>
        this.#post({ type: 'stepped', task, step, error: error === null ? null : toSnapshotError(error) }),
      fault: (error) => this.#post({ type: 'fault', message: toSnapshotError(error).message }),
    } satisfies import('./load-task.ts').LoadListener;
  }

  async #serve({ node, attachment }: Extract<ToBlockThread, { type: 'guest-disk' }>): Promise<void> {
    const { DiskServer } = await import('../disk-service.ts');
    const nodes = await this.#nodes;
    // An open port would keep the thread alive.
    if (this.#isClosing) attachment.port?.close();
    else if (nodes?.has(node)) this.#disks.push(new DiskServer(attachment, () => nodes.imageOrNull(node)));
  }

  /** Cancels every task, then closes the images. */
  async #close(): Promise<void> {
    this.#isClosing = true;
    for (const { cells, control, load } of this.#tasks.values()) {
      cells.cancel();
      control.wake();
      // Disks that were switched stay switched, as the next start would switch them too.
      load?.step('release');
    }
    await Promise.all([...this.#tasks.values()].map(({ ended }) => ended));
    await Promise.all(this.#disks.map((disk) => disk.close()));
    const nodes = await this.#nodes;
    await nodes?.close();
    this.#post({ type: 'closed' });
    this.#closed();
  }
}

function isSwitch({ kind }: TaskOrder): boolean {
  return kind === 'activate' || kind === 'deactivate';
}

function namesOf({ kind, plan }: TaskOrder): readonly string[] {
  if (kind === 'save') return nodesOfSave(plan);
  if (kind === 'load') return [plan.vmState, ...plan.devices];
  return plan.devices;
}

const port = beginWorkerProgram();
// The thread ends when its port is closed.
const thread = new BlockThread(
  (message) => port.postMessage(message),
  () => port.close(),
);
port.on('message', (message: ToBlockThread) => thread.receive(message));
