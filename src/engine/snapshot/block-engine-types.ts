import type {
  BlockNodes,
  LoadTask as GuestLoadTask,
  LoadOrder,
  SaveOrder,
  SaveTask,
} from '../../domain/ports/block-nodes.ts';
import type { LoadedMachine, TransferSource, TransferTarget } from '../memory/machine-state.ts';

/*
 * The engine that works on the images of an embedded machine. A plan is an order together with the machine; plans and
 * everything in them cross threads by structured clone.
 */

export type SavePlan = SaveOrder & { readonly source: TransferSource };
export type LoadPlan = LoadOrder & { readonly target: TransferTarget };

/** As the port's LoadTask, with a machine to be adopted. */
export interface LoadTask extends Omit<GuestLoadTask, 'loaded'> {
  readonly loaded: Promise<LoadedMachine>;
}

/** The block device nodes of this process, their images open, and the thread that works on them. */
export interface BlockEngine extends Omit<BlockNodes, 'save' | 'load'> {
  save(plan: SavePlan): SaveTask;
  load(plan: LoadPlan): LoadTask;
  close(): Promise<void>;
}
