import { BlockError } from '../../block/image.ts';
import type { DamageReport, SnapshotError } from '../../domain/ports/block-nodes.ts';
import { CancelledSignal, TransferFailure } from '../session/wait-point.ts';
import { StreamError } from '../stream/byte-reader.ts';

/** Thrown out of a task when a cancel has been seen. */
export class TaskCancelled extends Error {
  constructor() {
    super('the job was cancelled');
    this.name = 'TaskCancelled';
  }
}

/** Thrown out of a task when it fails. */
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

/** Thrown out of a task that failed and could not take back all of what it had begun. */
export class LeftBehind extends Error {
  /** @param what names tag, nodes and why. */
  constructor(what: string, cause: unknown) {
    super(what, { cause });
    this.name = 'LeftBehind';
  }
}

/** Whatever a task threw, as it crosses to the main thread. */
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

/** The same failure, of which something is left. */
export function withLeft(error: SnapshotError, what: string): SnapshotError {
  return { ...error, message: `${error.message} (${what})`, left: true };
}
