import type { DeletePlan, SaveTask, SnapshotError, SnapshotTask } from '../../domain/ports/block-nodes.ts';
import type { LoadedMachine } from '../memory/machine-state.ts';
import {
  type FromBlockThread,
  type LoadStep,
  type LoadTask,
  nodesOfSave,
  type SavePlan,
  type TaskOrder,
  type TaskResult,
  type ToBlockThread,
} from './block-messages.ts';
import { TaskCells, withLeft } from './task-control.ts';

/** A message of the block thread about a task. */
export type TaskMessage = Extract<FromBlockThread, { readonly task: number }>;

export type Post = (message: ToBlockThread) => void;

/** The main thread's side of a task. It ends in every case, also when the block thread dies. */
export abstract class TaskHandle {
  readonly cells = new TaskCells();
  readonly number: number;
  protected readonly post: Post;
  readonly #ended = Promise.withResolvers<TaskResult>();

  constructor(number: number, post: Post) {
    this.number = number;
    this.post = post;
    handled(this.#ended.promise);
  }

  /** Resolves or rejects when the task has ended. */
  protected get outcome(): Promise<TaskResult> {
    return this.#ended.promise;
  }

  progress(): { readonly current: number; readonly total: number } {
    return this.cells.progress();
  }

  pause(): void {
    this.cells.isPaused = true;
  }

  resume(): void {
    this.cells.isPaused = false;
    this.post({ type: 'wake', task: this.number });
  }

  cancel(): void {
    this.cells.cancel();
    this.post({ type: 'wake', task: this.number });
  }

  receive(message: TaskMessage): void {
    if (message.type !== 'ended') return;
    if (message.error !== null) this.fail(message.error);
    else this.#ended.resolve(message.result);
  }

  /**
   * The thread died or is being ended. Rejects all intermediate results; `fail` follows after the changes are undone.
   */
  crashed(_error: SnapshotError): void {}

  /** Ends the task with an error; the thread sends no more messages about it. */
  fail(error: SnapshotError): void {
    this.#ended.reject(error);
  }
}

/** Handle of a task without a result. */
export class PlainHandle extends TaskHandle implements SnapshotTask {
  readonly ended = withoutResult(this.outcome);
}

/** Handle of a task with a result. */
export class ResultHandle<Result extends NonNullable<TaskResult>> extends TaskHandle implements SnapshotTask<Result> {
  readonly ended = withResult<Result>(this.outcome);
}

export class SaveHandle extends PlainHandle implements SaveTask {
  readonly #captured = Promise.withResolvers<void>();

  constructor(number: number, post: Post) {
    super(number, post);
    handled(this.#captured.promise);
  }

  get captured(): Promise<void> {
    return this.#captured.promise;
  }

  override receive(message: TaskMessage): void {
    if (message.type === 'captured') this.#captured.resolve();
    super.receive(message);
  }

  /** The guest continues at once, without waiting for the next thread to open the images. */
  override crashed(error: SnapshotError): void {
    this.#captured.reject(error);
  }

  override fail(error: SnapshotError): void {
    this.crashed(error);
    super.fail(error);
  }
}

export class LoadHandle extends PlainHandle implements LoadTask {
  readonly #loaded = Promise.withResolvers<LoadedMachine>();
  readonly #steps = { apply: Promise.withResolvers<void>(), revert: Promise.withResolvers<void>() };

  constructor(number: number, post: Post) {
    super(number, post);
    handled(this.#loaded.promise);
    handled(this.#steps.apply.promise);
    handled(this.#steps.revert.promise);
  }

  get loaded(): Promise<LoadedMachine> {
    return this.#loaded.promise;
  }

  apply(): Promise<void> {
    return this.#step('apply');
  }

  revert(): Promise<void> {
    return this.#step('revert');
  }

  release(): void {
    this.post({ type: 'step', task: this.number, step: 'release' });
  }

  override receive(message: TaskMessage): void {
    if (message.type === 'loaded') this.#loaded.resolve(message.machine);
    if (message.type === 'stepped' && message.step !== 'release') {
      if (message.error === null) this.#steps[message.step].resolve();
      else this.#steps[message.step].reject(message.error);
    }
    super.receive(message);
  }

  override fail(error: SnapshotError): void {
    this.#loaded.reject(error);
    this.#steps.apply.reject(error);
    this.#steps.revert.reject(error);
    super.fail(error);
  }

  #step(step: Exclude<LoadStep, 'release'>): Promise<void> {
    this.post({ type: 'step', task: this.number, step });
    return this.#steps[step].promise;
  }
}

function withoutResult(outcome: Promise<TaskResult>): Promise<void> {
  return handled(outcome.then(() => {}));
}

/** The block thread sends the result type of the task's kind. */
function withResult<Result extends NonNullable<TaskResult>>(outcome: Promise<TaskResult>): Promise<Result> {
  return handled(
    outcome.then((result) => {
      if (result === null) throw new TypeError('a task ended without its result');
      return result as Result;
    }),
  );
}

/** Prevents an unhandled rejection of a promise that no caller awaits. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** The error of a task whose thread died. @param reason a clause. */
export function crashOf(reason: string): SnapshotError {
  return { code: 'engine_crashed', message: `the block thread died: ${reason}` };
}

/** The engine with the thread that replaces the dead one. */
type RestartedEngine = { readonly hasThread: boolean; delete(plan: DeletePlan): SnapshotTask };

/** False for a task that changes nothing, or only changes that opening the images repairs. */
export function leavesSomething({ kind }: TaskOrder): boolean {
  return kind === 'save' || kind === 'delete' || kind === 'rename' || kind === 'apply-disks';
}

/** Undoes the changes of a task whose thread died, where possible. @returns the error of the task. */
export async function afterCrash(
  engine: RestartedEngine,
  { kind, plan }: TaskOrder,
  error: SnapshotError,
): Promise<SnapshotError> {
  if (kind === 'save') {
    const left = await takeBack(engine, plan);
    return left === null ? error : withLeft(error, left);
  }
  if (kind === 'delete') return withLeft(error, `snapshot '${plan.tag}' may be gone from some of its nodes only`);
  if (kind === 'rename') return withLeft(error, `snapshot '${plan.as}' may be the old one on some of its nodes`);
  return error;
}

/**
 * Deletes the snapshots of an interrupted save: the tag was free before, so every snapshot with it is incomplete. A
 * node that refuses is tried again after the others, which may have freed space. @returns the remaining changes as a
 * clause, or null.
 */
async function takeBack(engine: RestartedEngine, plan: SavePlan): Promise<string | null> {
  const { tag } = plan;
  let left = nodesOfSave(plan);
  if (!engine.hasThread) return `snapshot '${tag}' may be incomplete on nodes ${left.join(', ')}, which are not open`;
  let reasons: string[] = [];
  for (let round = 0; round < 2 && left.length > 0; round += 1) {
    const refused: string[] = [];
    reasons = [];
    for (const node of left) {
      await engine.delete({ tag, devices: [node] }).ended.catch(({ message }: SnapshotError) => {
        refused.push(node);
        reasons.push(`node ${node}: ${message}`);
      });
    }
    left = refused;
  }
  return left.length === 0 ? null : `the begun snapshot '${tag}' could not be removed: ${reasons.join('; ')}`;
}
