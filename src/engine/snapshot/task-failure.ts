import { BlockError } from '../../block/image.ts';
import type { DamageReport, DeletePlan, SnapshotError, SnapshotTask } from '../../domain/ports/block-nodes.ts';
import { CancelledSignal, TransferFailure } from '../session/wait-point.ts';
import { StreamError } from '../stream/bytes.ts';
import type { SavePlan } from './block-engine-types.ts';
import { nodesOfSave, type OpenError, type TaskOrder } from './block-messages.ts';

/** Thrown in a task after it was cancelled. */
export class TaskCancelled extends Error {
  constructor() {
    super('the job was cancelled');
    this.name = 'TaskCancelled';
  }
}

/** Thrown in a task that fails. */
export class SnapshotFailure extends Error {
  readonly code: SnapshotError['code'];
  readonly damage: readonly DamageReport[] | null;

  constructor(code: SnapshotError['code'], message: string, damage: readonly DamageReport[] | null = null) {
    super(message);
    this.name = 'SnapshotFailure';
    this.code = code;
    this.damage = damage;
  }
}

/** Thrown in a task that failed and could not undo all of its changes. */
export class LeftBehind extends Error {
  /** @param what a clause with tag, nodes and reasons. */
  constructor(what: string, cause: unknown) {
    super(what, { cause });
    this.name = 'LeftBehind';
  }
}

/** Converts any error of a task to plain data for the main thread. */
export function toSnapshotError(thrown: unknown): SnapshotError {
  if (thrown instanceof LeftBehind) return withLeft(toSnapshotError(thrown.cause), thrown.message);
  if (thrown instanceof TaskCancelled) return { code: 'job_cancelled', message: thrown.message };
  if (thrown instanceof SnapshotFailure) {
    const { code, message, damage } = thrown;
    return damage === null ? { code, message } : { code, message, damage };
  }
  if (thrown instanceof BlockError) return { code: thrown.code, message: thrown.message };
  if (thrown instanceof StreamError) return { code: thrown.code, message: thrown.message };
  if (thrown instanceof CancelledSignal) return { code: 'job_cancelled', message: 'the job was cancelled' };
  if (thrown instanceof TransferFailure) return thrown.toError();
  const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return { code: 'engine_failed', message };
}

/** Adds to an error that changes of the task remain. @param what the remaining changes, as a clause. */
export function withLeft(error: SnapshotError, what: string): SnapshotError {
  return { ...error, message: `${error.message} (${what})`, left: true };
}

/** The error of a task whose thread died. @param reason a clause. */
export function crashOf(reason: string): SnapshotError {
  return { code: 'engine_crashed', message: `the block thread died: ${reason}` };
}

export function toBlockError({ code, message }: OpenError): BlockError {
  return new BlockError(code, message);
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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
