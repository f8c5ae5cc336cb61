import { BlockError } from '../../block/image.ts';
import type { SnapshotError } from '../../domain/snapshot-port.ts';
import type { NodeRepair, OpenError } from './messages.ts';

/** The error of a task whose thread died. */
export function crashOf(reason: string): SnapshotError {
  return { code: 'engine_crashed', message: `the block thread died: ${reason}` };
}

/** What was put right in a node's image, as a sentence. */
export function describeRepair({ node, leakedClusters, correctedEntries }: NodeRepair): string {
  return `block device node '${node}' was put right: ${leakedClusters} leaked clusters freed, ${correctedEntries} entries corrected`;
}

export function toBlockError({ code, message }: OpenError): BlockError {
  return new BlockError(code, message);
}

/** What an error says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
