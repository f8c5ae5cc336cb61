import { BlockError } from '../../block/image.ts';
import type { SnapshotError } from '../../domain/ports/block-nodes.ts';
import type { OpenError } from './messages.ts';

/** The error of a task whose thread died. */
export function crashOf(reason: string): SnapshotError {
  return { code: 'engine_crashed', message: `the block thread died: ${reason}` };
}

export function toBlockError({ code, message }: OpenError): BlockError {
  return new BlockError(code, message);
}

/** What an error says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
