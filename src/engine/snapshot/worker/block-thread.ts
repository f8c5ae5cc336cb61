import { BlockError } from '../../../block/image.ts';
import type { SnapshotError } from '../../../domain/ports/block-nodes.ts';
import { startBeating } from '../../session/worker-program.ts';
import { Heartbeat } from '../../shared/heartbeat.ts';
import { DISK_STALL_MS, watchForStalls } from '../disk-stall.ts';
import {
  type FromBlockThread,
  type NodeSpec,
  nodesOfSave,
  type TaskOrder,
  type TaskResult,
  type ToBlockThread,
} from '../messages.ts';
import { SnapshotFailure, toSnapshotError } from '../snapshot-failure.ts';
import { TaskWords } from '../task-words.ts';
import { endThread } from './end-thread.ts';
import type { GuestDisk } from './guest-disk.ts';
import type { Load } from './load.ts';
import { Nodes } from './nodes.ts';
import { TaskControl } from './task-control.ts';

/** How often the thread shows that its event loop turns. */
const HEARTBEAT_MS = 500;

type Task = { readonly words: TaskWords; readonly control: TaskControl; load: Load | null; ended: Promise<void> };

/**
 * The block thread's end of the engine: owns every image from `open` to `close`, and works off tasks side by side; the
 * domain sees to it that no two of them work on one node. What only tasks need is loaded with the first one.
 */
export class BlockThread {
  readonly #post: (message: FromBlockThread) => void;
  readonly #closed: () => void;
  readonly #tasks = new Map<number, Task>();
  readonly #disks: GuestDisk[] = [];
  #heartbeat = new Heartbeat();
  #diskStallMs = DISK_STALL_MS;
  #isClosing = false;
  /** Resolves when the nodes are not being activated or deactivated any more. */
  #switched: Promise<void> = Promise.resolve();
  /** Null before `open`, and if that failed. */
  #nodes: Promise<Nodes | null> = Promise.resolve(null);

  /** @param closed called when everything has been let go. */
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
        this.#begin(message.task, message.order, new TaskWords(message.words));
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

  #begin(number: number, order: TaskOrder, words: TaskWords): void {
    const control = new TaskControl(words, this.#heartbeat);
    const task: Task = { words, control, load: null, ended: Promise.resolve() };
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
   * While a task needs a disk, whatever hangs on it ends this thread: nothing else is rid of a call that does not come
   * back. Whoever only wants to see digests does not wait for them, and is no reason.
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
        const { save } = await import('./save.ts');
        const captured = () => this.#post({ type: 'captured', task: number });
        await save(order.plan, nodes, { control, captured });
        return null;
      }
      case 'load': {
        const { Load } = await import('./load.ts');
        task.load = new Load(order.plan, nodes, { control, listener: this.#loadListener(number) });
        await task.load.run();
        return null;
      }
      case 'verify': {
        const { verify } = await import('./verify.ts');
        return verify(order.plan, nodes, control);
      }
      case 'compact': {
        const { compactImages } = await import('./compact.ts');
        return compactImages(order.plan, nodes, control);
      }
      case 'digests': {
        const { readDigests } = await import('./kept-digests.ts');
        return readDigests(order.plan, nodes, control);
      }
      case 'activate': {
        const repairs = await nodes.activate();
        if (repairs.length > 0) this.#post({ type: 'repaired', repairs });
        for (const disk of this.#disks) disk.look();
        return null;
      }
      case 'deactivate':
        await this.#deactivate(number, nodes);
        return null;
      case 'rename': {
        const { renameSnapshot } = await import('./rename.ts');
        await renameSnapshot(order.plan, nodes, control);
        return null;
      }
      default: {
        const { applyDisks, deleteSnapshot } = await import('./delete.ts');
        await (order.kind === 'delete' ? deleteSnapshot : applyDisks)(order.plan, nodes, control);
        return null;
      }
    }
  }

  /** What only reads the images is ended, and what changes them comes to its end, before they are let go. */
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
    } satisfies import('./load.ts').LoadListener;
  }

  async #serve({ node, attachment }: Extract<ToBlockThread, { type: 'guest-disk' }>): Promise<void> {
    const { GuestDisk } = await import('./guest-disk.ts');
    const nodes = await this.#nodes;
    // Its port would keep a thread from its end that nobody closes it in.
    if (this.#isClosing) attachment.port?.close();
    else if (nodes?.has(node)) this.#disks.push(new GuestDisk(attachment, () => nodes.imageOrNull(node)));
  }

  /** Ends every task as a cancel does, then lets go of the images. */
  async #close(): Promise<void> {
    this.#isClosing = true;
    for (const { words, control, load } of this.#tasks.values()) {
      words.cancel();
      control.wake();
      // Disks that were turned stay so: the next start would turn them, too.
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
