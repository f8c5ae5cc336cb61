import type { BlockErrorCode } from '../../block/image.ts';
import type {
  BlockNode,
  Compaction,
  CompactPlan,
  DeletePlan,
  DigestReading,
  RenamePlan,
  SnapshotError,
  VerifyPlan,
  VerifyResult,
} from '../../domain/ports/block-nodes.ts';
import type { DiskAttachment } from '../memory/disk-slot.ts';
import type { LoadedMachine } from '../memory/machine-state.ts';
import type { LoadPlan, SavePlan } from './block-engine-types.ts';

/*
 * Every message between the main thread and the block thread. Plain data, cloned; memory goes as shared memory.
 * `task` is a number that the main thread gives; what becomes of a task is told in the order in which it happens.
 */

/** A block device node to be opened. */
export type NodeSpec = {
  readonly name: string;
  readonly path: string;
  /** Virtual size, in bytes, with which the image is made if there is none; null: it has to be there. */
  readonly createBytes: number | null;
};

/** What a task is to do. */
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

/** Names of the nodes, all of which become active or inactive. */
export type SwitchPlan = { readonly devices: readonly string[] };

/** The nodes that a save works on, each once. */
export function nodesOfSave({ vmState, devices }: Pick<SavePlan, 'vmState' | 'devices'>): readonly string[] {
  return [...new Set([...(vmState === null ? [] : [vmState]), ...devices])];
}

/** What a task gives back; null for most. */
export type TaskResult = VerifyResult | readonly DigestReading[] | readonly Compaction[] | null;

/** A step of a load that the machine's side decides. */
export type LoadStep = 'apply' | 'revert' | 'release';

/** A machine's disk; the port is null for a thread that took the place of one that died: it looks at the slot. */
export type GuestDiskOrder = Omit<DiskAttachment, 'port'> & { readonly port: DiskAttachment['port'] | null };

export type ToBlockThread =
  | {
      readonly type: 'open';
      readonly nodes: readonly NodeSpec[];
      /** False: the guest that uses them is on the other side of a migration. */
      readonly isActive: boolean;
      readonly heartbeat: SharedArrayBuffer;
      /** A call on a disk that lasts longer, while a task needs it, has hung; milliseconds. */
      readonly diskStallMs: number;
    }
  | { readonly type: 'task'; readonly task: number; readonly words: SharedArrayBuffer; readonly order: TaskOrder }
  /** Something in the task's words changed: look at them. */
  | { readonly type: 'wake'; readonly task: number }
  | { readonly type: 'step'; readonly task: number; readonly step: LoadStep }
  | { readonly type: 'guest-disk'; readonly node: string; readonly attachment: GuestDiskOrder }
  | { readonly type: 'close' };

/** What opening a node put right. */
export type NodeRepair = { readonly node: string; readonly leakedClusters: number; readonly correctedEntries: number };

/** Why the nodes could not be opened. */
export type OpenError = { readonly code: BlockErrorCode; readonly message: string };

export type FromBlockThread =
  | { readonly type: 'opened'; readonly nodes: readonly BlockNode[]; readonly repairs: readonly NodeRepair[] }
  | { readonly type: 'not-opened'; readonly error: OpenError }
  /** What activating the nodes put right. */
  | { readonly type: 'repaired'; readonly repairs: readonly NodeRepair[] }
  /** A node's snapshots or its size changed. */
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
  /** Something failed that changes nothing about how a task ended. */
  | { readonly type: 'fault'; readonly message: string }
  | { readonly type: 'closed' };
