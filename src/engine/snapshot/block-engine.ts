import type { Worker } from 'node:worker_threads';
import { BlockError } from '../../block/image.ts';
import type {
  BlockNode,
  Compaction,
  CompactPlan,
  DeletePlan,
  DigestReading,
  RenamePlan,
  SaveTask,
  SnapshotError,
  SnapshotTask,
  VerifyPlan,
  VerifyResult,
} from '../../domain/ports/block-nodes.ts';
import type { DiskAttachment } from '../memory/disk-slot.ts';
import { HANG_MS_MAX, WorkerDeath, WorkerThread } from '../session/worker-thread.ts';
import type {
  FromBlockThread,
  LoadPlan,
  LoadTask,
  SavePlan,
  TaskOrder,
  ThreadedBlockEngine,
  ToBlockThread,
} from './block-messages.ts';
import {
  type BlockEngineOptions,
  CLOSE_MS_MAX,
  DISK_STALL_MS,
  OPEN_MS_MAX,
  startBlockWorker,
  TERMINATE_MS_MAX,
} from './block-worker.ts';
import { DiskAttachments } from './disk-service.ts';
import { messageOf } from './task-control.ts';
import {
  afterCrash,
  crashOf,
  LoadHandle,
  leavesSomething,
  PlainHandle,
  type Post,
  ResultHandle,
  SaveHandle,
  type TaskHandle,
} from './task-handles.ts';

type Thread = WorkerThread<ToBlockThread, FromBlockThread>;
type Task = { readonly order: TaskOrder; readonly handle: TaskHandle };

/**
 * Starts the block thread and opens every node in it.
 * @throws BlockError of the first node that cannot be opened; no image stays open then.
 */
export async function createBlockEngine(options: BlockEngineOptions): Promise<ThreadedBlockEngine> {
  const engine = new Engine(options);
  await engine.start();
  return engine;
}

/**
 * Owns the thread. When the thread dies, every task in progress fails, and a new thread opens the images, repairs
 * incomplete changes, and serves the machines' disks again.
 */
class Engine implements ThreadedBlockEngine {
  readonly #options: BlockEngineOptions;
  readonly #tasks = new Map<number, Task>();
  readonly #listeners: (() => void)[] = [];
  readonly #disks = new DiskAttachments();
  #nodes: readonly BlockNode[] = [];
  #thread: Thread | null = null;
  #starting: Promise<void> | null = null;
  #firstWorker: Worker | null;
  #nextTask = 1;
  #isActive: boolean;
  #isClosed = false;

  constructor(options: BlockEngineOptions) {
    this.#options = options;
    this.#firstWorker = options.firstWorker ?? null;
    this.#isActive = options.isActive ?? true;
  }

  nodes(): readonly BlockNode[] {
    return this.#nodes;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  get hasThread(): boolean {
    return this.#thread !== null;
  }

  save(plan: SavePlan): SaveTask {
    return this.#begin({ kind: 'save', plan }, SaveHandle);
  }

  load(plan: LoadPlan): LoadTask {
    return this.#begin({ kind: 'load', plan }, LoadHandle);
  }

  delete(plan: DeletePlan): SnapshotTask {
    return this.#begin({ kind: 'delete', plan }, PlainHandle);
  }

  verify(plan: VerifyPlan): SnapshotTask<VerifyResult> {
    return this.#begin({ kind: 'verify', plan }, ResultHandle<VerifyResult>);
  }

  digests(plan: DeletePlan): SnapshotTask<readonly DigestReading[]> {
    return this.#begin({ kind: 'digests', plan }, ResultHandle<readonly DigestReading[]>);
  }

  compact(plan: CompactPlan): SnapshotTask<readonly Compaction[]> {
    return this.#begin({ kind: 'compact', plan }, ResultHandle<readonly Compaction[]>);
  }

  rename(plan: RenamePlan): SnapshotTask {
    return this.#begin({ kind: 'rename', plan }, PlainHandle);
  }

  applyDisks(plan: DeletePlan): SnapshotTask {
    return this.#begin({ kind: 'apply-disks', plan }, PlainHandle);
  }

  get isActive(): boolean {
    return this.#isActive;
  }

  activate(): Promise<void> {
    return this.#switch('activate');
  }

  deactivate(): Promise<void> {
    return this.#switch('deactivate');
  }

  serveGuestDisk(node: string, attachment: DiskAttachment): void {
    if (!this.#nodes.some(({ name }) => name === node)) throw new RangeError(`there is no node '${node}'`);
    this.#disks.add(node, attachment);
    this.#thread?.post({ type: 'guest-disk', node, attachment }, [attachment.port]);
  }

  /** Cancels every task, and closes the images. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#starting?.catch(() => {});
    if (this.#thread !== null) await closeThread(this.#thread);
    this.#disks.stopFailing();
    this.#failAll({ code: 'shutting_down', message: 'The service is shutting down.' });
  }

  /** @throws BlockError if a node cannot be opened, Error if the thread died before it could say so. */
  start(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { nodes, hangMsMax = HANG_MS_MAX, diskStallMs = DISK_STALL_MS, workerUrl } = this.#options;
    const worker = this.#firstWorker ?? startBlockWorker(workerUrl);
    this.#options.workers?.counted(worker, 'block');
    this.#firstWorker = null;
    const opened = Promise.withResolvers<void>();
    const thread: Thread = new WorkerThread(worker, { hangMsMax, terminateMsMax: TERMINATE_MS_MAX });
    thread.handTo({
      message: (message) => {
        // Its tasks are crashed already.
        if (thread.isDoomed) return;
        if (message.type === 'opened') opened.resolve();
        else if (message.type === 'not-opened')
          opened.reject(new BlockError(message.error.code, message.error.message));
        this.#receive(message);
      },
      doomed: (reason) => {
        if (this.#thread !== thread) return;
        for (const { handle } of this.#tasks.values()) handle.crashed(crashOf(reason));
      },
      died: (reason) => {
        opened.reject(new Error(`the block thread died: ${reason}`));
        this.#died(thread, reason);
      },
    });
    thread.post({ type: 'open', nodes, isActive: this.#isActive, heartbeat: thread.heartbeat.buffer, diskStallMs });
    const isLate = new Error(`the images were not open after ${OPEN_MS_MAX} ms`);
    const late = setTimeout(() => opened.reject(isLate), OPEN_MS_MAX);
    try {
      await opened.promise;
    } catch (error) {
      await closeThread(thread);
      throw error;
    } finally {
      clearTimeout(late);
    }
    this.#thread = thread;
    this.#disks.stopFailing();
    for (const order of this.#disks.orders()) thread.post(order);
  }

  readonly #post = (message: ToBlockThread): void => this.#thread?.post(message);

  async #switch(kind: 'activate' | 'deactivate'): Promise<void> {
    const devices = this.#options.nodes.map(({ name }) => name);
    if (devices.length > 0) {
      await this.#begin({ kind, plan: { devices } }, PlainHandle).ended;
    }
    this.#isActive = kind === 'activate';
  }

  #begin<Handle extends TaskHandle>(order: TaskOrder, Kind: new (number: number, post: Post) => Handle): Handle {
    const handle = new Kind(this.#nextTask++, this.#post);
    this.#tasks.set(handle.number, { order, handle });
    void this.#give(order, handle);
    return handle;
  }

  /** Posts a task. If there is no thread because the restart failed, starts one. */
  async #give(order: TaskOrder, handle: TaskHandle): Promise<void> {
    try {
      if (this.#isClosed) throw new Error('the engine is closed');
      if (this.#thread === null) await this.start();
      this.#post({ type: 'task', task: handle.number, cells: handle.cells.buffer, order });
    } catch (error) {
      this.#tasks.delete(handle.number);
      handle.fail({ code: 'engine_crashed', message: `There is no block thread: ${messageOf(error)}` });
    }
  }

  #receive(message: FromBlockThread): void {
    switch (message.type) {
      case 'opened':
      case 'repaired':
        for (const repair of message.repairs) this.#options.repaired?.(repair);
        if (message.type === 'opened') this.#setNodes(message.nodes);
        break;
      case 'node':
        this.#setNodes(this.#nodes.map((node) => (node.name === message.node.name ? message.node : node)));
        break;
      case 'fault':
        this.#options.report(new Error(message.message));
        break;
      case 'not-opened':
      case 'closed':
        break;
      default:
        this.#tasks.get(message.task)?.handle.receive(message);
        if (message.type === 'ended') this.#tasks.delete(message.task);
    }
  }

  #setNodes(nodes: readonly BlockNode[]): void {
    this.#nodes = nodes;
    for (const listener of this.#listeners) listener();
  }

  #died(thread: Thread, reason: string): void {
    if (this.#thread !== thread) return;
    this.#thread = null;
    const error = crashOf(reason);
    const tasks = [...this.#tasks.values()];
    this.#tasks.clear();
    for (const { handle } of tasks) handle.crashed(error);
    if (!this.#isClosed) this.#options.report(new WorkerDeath('block', error.message));
    void this.#recover(tasks, error);
  }

  /**
   * Starts a new thread, undoes incomplete changes, and then fails the tasks. Tasks without changes fail at once,
   * because a start may take long with a hanging disk, and a guest that is stopped for a load must continue.
   */
  async #recover(died: readonly Task[], error: SnapshotError): Promise<void> {
    const tasks = died.filter(({ order }) => leavesSomething(order));
    for (const task of died) if (!tasks.includes(task)) task.handle.fail(error);
    try {
      if (!this.#isClosed) await this.start();
    } catch (fault) {
      this.#disks.failRequests(`the image is not open: ${messageOf(fault)}`);
      this.#options.report(fault);
    }
    for (const { order, handle } of tasks) handle.fail(await afterCrash(this, order, error));
  }

  #failAll(error: SnapshotError): void {
    const tasks = [...this.#tasks.values()];
    this.#tasks.clear();
    for (const { handle } of tasks) handle.fail(error);
  }
}

/** Lets the thread end its tasks and close its images. */
function closeThread(thread: Thread): Promise<void> {
  thread.post({ type: 'close' });
  return thread.close(CLOSE_MS_MAX);
}
