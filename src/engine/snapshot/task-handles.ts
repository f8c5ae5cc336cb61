import type { SaveTask, SnapshotError, SnapshotTask } from '../../domain/ports/block-nodes.ts';
import type { LoadedMachine } from '../memory/machine-state.ts';
import type { LoadTask } from './block-engine-types.ts';
import type { FromBlockThread, LoadStep, TaskResult, ToBlockThread } from './messages.ts';
import { TaskWords } from './task-words.ts';

/** What the thread says about a task. */
export type TaskMessage = Extract<FromBlockThread, { readonly task: number }>;

export type Tell = (message: ToBlockThread) => void;

/** The main thread's end of a task: it ends whatever becomes of the block thread. */
export abstract class TaskHandle {
  readonly words = new TaskWords();
  readonly number: number;
  protected readonly tell: Tell;
  readonly #ended = Promise.withResolvers<TaskResult>();

  constructor(number: number, tell: Tell) {
    this.number = number;
    this.tell = tell;
    handled(this.#ended.promise);
  }

  /** How it ended. */
  protected get outcome(): Promise<TaskResult> {
    return this.#ended.promise;
  }

  progress(): { readonly current: number; readonly total: number } {
    return this.words.progress();
  }

  pause(): void {
    this.words.isPaused = true;
  }

  resume(): void {
    this.words.isPaused = false;
    this.tell({ type: 'wake', task: this.number });
  }

  cancel(): void {
    this.words.cancel();
    this.tell({ type: 'wake', task: this.number });
  }

  receive(message: TaskMessage): void {
    if (message.type !== 'ended') return;
    if (message.error !== null) this.fail(message.error);
    else this.#ended.resolve(message.result);
  }

  /** The thread is gone, or being ended: what others wait for before the end will not come. What is half-made is seen to first. */
  crashed(_error: SnapshotError): void {}

  /** Ends it: nothing more will come from the thread. */
  fail(error: SnapshotError): void {
    this.#ended.reject(error);
  }
}

/** Of a task that gives nothing back. */
export class PlainHandle extends TaskHandle implements SnapshotTask {
  readonly ended = withoutResult(this.outcome);
}

/** Of a task that gives back what is of its kind. */
export class ResultHandle<Result extends NonNullable<TaskResult>> extends TaskHandle implements SnapshotTask<Result> {
  readonly ended = withResult<Result>(this.outcome);
}

export class SaveHandle extends PlainHandle implements SaveTask {
  readonly #captured = Promise.withResolvers<void>();

  constructor(number: number, tell: Tell) {
    super(number, tell);
    handled(this.#captured.promise);
  }

  get captured(): Promise<void> {
    return this.#captured.promise;
  }

  override receive(message: TaskMessage): void {
    if (message.type === 'captured') this.#captured.resolve();
    super.receive(message);
  }

  /** The guest goes on at once: nobody waits until another thread has the images open. */
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

  constructor(number: number, tell: Tell) {
    super(number, tell);
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
    this.tell({ type: 'step', task: this.number, step: 'release' });
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
    this.tell({ type: 'step', task: this.number, step });
    return this.#steps[step].promise;
  }
}

function withoutResult(outcome: Promise<TaskResult>): Promise<void> {
  return handled(outcome.then(() => {}));
}

/** The thread gives each kind of task the result of its kind. */
function withResult<Result extends NonNullable<TaskResult>>(outcome: Promise<TaskResult>): Promise<Result> {
  return handled(
    outcome.then((result) => {
      if (result === null) throw new TypeError('a task ended without its result');
      return result as Result;
    }),
  );
}

/** A task that nobody waits for may fail without a further word. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
