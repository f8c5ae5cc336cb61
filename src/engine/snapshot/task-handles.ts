import type { SaveTask, SnapshotError, SnapshotTask } from '../../domain/ports/block-nodes.ts';
import type { LoadedMachine } from '../memory/machine-state.ts';
import type { LoadTask } from './block-engine-types.ts';
import type { FromBlockThread, LoadStep, TaskResult, ToBlockThread } from './block-messages.ts';
import { TaskCells } from './task-control.ts';

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
