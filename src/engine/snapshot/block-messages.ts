import type { BlockErrorCode } from '../../block/image.ts';
import type {
  BlockNode,
  BlockNodes,
  Compaction,
  CompactPlan,
  DeletePlan,
  DigestReading,
  LoadTask as GuestLoadTask,
  LoadOrder,
  RenamePlan,
  SaveOrder,
  SaveTask,
  SnapshotError,
  VerifyPlan,
  VerifyResult,
} from '../../domain/ports/block-nodes.ts';
import type { DiskAttachment } from '../memory/disk-slot.ts';
import type { LoadedMachine, TransferSource, TransferTarget } from '../memory/machine-state.ts';

/*
 * Every message between the main thread and the block thread: plain data, which is cloned, and shared memory. `task` is
 * a number assigned by the main thread. The messages about a task are in the order of the events.
 */

/** A block device node to be opened. */
export type NodeSpec = {
  readonly name: string;
  readonly path: string;
  /** Virtual size, in bytes, of an image that is created if the file does not exist; null: the file must exist. */
  readonly createBytes: number | null;
};

/** Kind and plan of a task. */
export type TaskOrder =
  | { readonly kind: 'save'; readonly plan: SavePlan }
  | { readonly kind: 'load'; readonly plan: LoadPlan }
  | { readonly kind: 'delete'; readonly plan: DeletePlan }
  | { readonly kind: 'rename'; readonly plan: RenamePlan }
  | { readonly kind: 'verify'; readonly plan: VerifyPlan }
  | { readonly kind: 'compact'; readonly plan: CompactPlan }
  | { readonly kind: 'digests'; readonly plan: DeletePlan }
  | { readonly kind: 'apply-disks'; readonly plan: DeletePlan }
  | { readonly kind: 'activate' | 'deactivate'; readonly plan: SwitchPlan };

/** Names of the nodes that become active or inactive. */
export type SwitchPlan = { readonly devices: readonly string[] };

/** The nodes of a save, each once. */
export function nodesOfSave({ vmState, devices }: Pick<SavePlan, 'vmState' | 'devices'>): readonly string[] {
  return [...new Set([...(vmState === null ? [] : [vmState]), ...devices])];
}

/** Result of a task; null for most kinds. */
export type TaskResult = VerifyResult | readonly DigestReading[] | readonly Compaction[] | null;

/** A step of a load, ordered by the main thread. */
export type LoadStep = 'apply' | 'revert' | 'release';

/** The disk of a machine. The port is null for a thread that replaces a dead one: it polls the slot. */
export type GuestDiskOrder = Omit<DiskAttachment, 'port'> & { readonly port: DiskAttachment['port'] | null };

export type ToBlockThread =
  | {
      readonly type: 'open';
      readonly nodes: readonly NodeSpec[];
      /** False: the guest of the images is on the other side of a migration. */
      readonly isActive: boolean;
      readonly heartbeat: SharedArrayBuffer;
      /** A system call on a disk of a task hangs if it lasts longer; milliseconds. */
      readonly diskStallMs: number;
    }
  | { readonly type: 'task'; readonly task: number; readonly cells: SharedArrayBuffer; readonly order: TaskOrder }
  /** The cells of the task have changed. */
  | { readonly type: 'wake'; readonly task: number }
  | { readonly type: 'step'; readonly task: number; readonly step: LoadStep }
  | { readonly type: 'guest-disk'; readonly node: string; readonly attachment: GuestDiskOrder }
  | { readonly type: 'close' };

/** Repairs of an image when it was opened. */
export type NodeRepair = { readonly node: string; readonly leakedClusters: number; readonly correctedEntries: number };

/** The error of the first node that could not be opened. */
export type OpenError = { readonly code: BlockErrorCode; readonly message: string };

export type FromBlockThread =
  | { readonly type: 'opened'; readonly nodes: readonly BlockNode[]; readonly repairs: readonly NodeRepair[] }
  | { readonly type: 'not-opened'; readonly error: OpenError }
  /** Repairs when the nodes were activated. */
  | { readonly type: 'repaired'; readonly repairs: readonly NodeRepair[] }
  /** The snapshots or the size of a node have changed. */
  | { readonly type: 'node'; readonly node: BlockNode }
  | { readonly type: 'captured'; readonly task: number }
  | { readonly type: 'loaded'; readonly task: number; readonly machine: LoadedMachine }
  | {
      readonly type: 'stepped';
      readonly task: number;
      readonly step: LoadStep;
      readonly error: SnapshotError | null;
    }
  | {
      readonly type: 'ended';
      readonly task: number;
      readonly result: TaskResult;
      readonly error: SnapshotError | null;
    }
  /** A failure that does not change the outcome of a task. */
  | { readonly type: 'fault'; readonly message: string }
  | { readonly type: 'closed' };

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

/** The engine with the methods that only app.ts uses. */
export interface ThreadedBlockEngine extends BlockEngine {
  /** Lets a machine's disk requests reach a node. @throws RangeError if there is no such node. */
  serveGuestDisk(node: string, attachment: DiskAttachment): void;
}
