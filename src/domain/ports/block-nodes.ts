import type { ErrorCode } from '../errors.ts';
import type { LoadedGuest } from './migration-session.ts';
import type { TransferErrorCode } from './transfer-errors.ts';

/* Block device nodes of a machine, and the snapshots in their images. */

/** A snapshot in the image of one node, found by its tag (the first, if several have it), never by its id. */
export type NodeSnapshot = {
  /** Decimal string, unique in the image. */
  readonly id: string;
  readonly tag: string;
  /** When it was taken, milliseconds since 1970. */
  readonly dateMs: number;
  /** Guest clock when it was taken, nanoseconds. */
  readonly clockNs: bigint;
  /** Bytes of the VM state; 0: only the disk. */
  readonly vmStateBytes: number;
  /** Disk size at that time, bytes. */
  readonly diskBytes: number;
  /** Instructions counted in record/replay, or null when that was off. */
  readonly icount: bigint | null;
  /** True if digests were stored with the snapshot, so that its content can be verified. */
  readonly hasDigests: boolean;
  /** Facts given when it was taken; null or absent: none. */
  readonly about?: SnapshotAbout | null;
};

/** Facts about a snapshot, stored with it. */
export type SnapshotAbout = {
  readonly description: string | null;
  /** Earliest time of its deletion, milliseconds since 1970; null: never. */
  readonly expiresAtMs: number | null;
  /** RAM that a machine needs to load the snapshot, bytes. */
  readonly ramBytes: number;
  readonly vcpus: number;
};

/** A block device node and the snapshots in its image. */
export type BlockNode = {
  readonly name: string;
  readonly path: string;
  readonly isReadOnly: boolean;
  /** Why a node that should be writable is open for reading only, as sentences; null if it is writable. */
  readonly readOnlyReason: string | null;
  /**
   * False while the image's guest is on the other side of a migration or waits for its first `cont`. Others may write
   * the image then; members are those of the last read.
   */
  readonly isActive: boolean;
  /** Virtual size in bytes. */
  readonly diskBytes: number;
  readonly snapshots: readonly NodeSnapshot[];
};

/** A code of the table of errors, or of TRANSFER_ERRORS for a stream that does not suit or a thread that died. */
export type SnapshotErrorCode = ErrorCode | TransferErrorCode;

/** An error from another thread, as plain data. `damage`: the first 64 places, for `snapshot_damaged`. */
export type SnapshotError = {
  readonly code: SnapshotErrorCode;
  readonly message: string;
  readonly damage?: readonly DamageReport[];
  /**
   * True if incomplete changes remain, which the next start undoes (a deletion: completes). Only in the error of
   * `ended`.
   */
  readonly left?: boolean;
};

/** A place of damage: the affected part of the machine, and the position in the image file. */
export type DamageReport = {
  readonly node: string;
  /** RAM block; null if the damage is in device state, in the disk's content or in the image's own tables. */
  readonly ramBlock: string | null;
  /** Area in which `offset` counts. */
  readonly area: 'ram' | 'vm-state' | 'disk' | 'metadata';
  readonly offset: number;
  readonly bytes: number;
  /** Offset in the image file of the cluster with the first damaged byte; null: no cluster. */
  readonly fileOffset: number | null;
};

/** Digest of one RAM block, device state or disk, stored with a snapshot. */
export type SnapshotDigest = {
  readonly kind: 'ram-block' | 'device-state' | 'disk';
  readonly name: string;
  readonly digest: string;
};

/** Digests that were stored with one node's part of a snapshot. Nothing was compared with them. */
export type PartDigests = {
  /** Empty if the part has no VM state. */
  readonly ramBlocks: readonly { readonly name: string; readonly bytes: number; readonly digest: string }[];
  readonly deviceState: string | null;
  readonly disk: string;
};

/** Digests of a part, or why they cannot be read; both null if it has none. */
export type DigestReading = {
  readonly node: string;
  readonly digests: PartDigests | null;
  /** The reason, as a sentence. */
  readonly fault: string | null;
};

export type VerifyResult = {
  /** False for a snapshot of another program: then only its structure and the form of its stream were checked. */
  readonly hadDigests: boolean;
  readonly digests: readonly SnapshotDigest[];
  readonly checkedBytes: number;
};

/** A machine snapshot to save. The guest must stand still until `captured` resolves. */
export type SaveOrder = {
  readonly tag: string;
  /** Node that stores RAM and device state; null: only disks are saved. */
  readonly vmState: string | null;
  /** Nodes of which a snapshot is taken, including `vmState` if its disk belongs to it. */
  readonly devices: readonly string[];
  /** Run state to store: text of globalstate. */
  readonly globalState: string;
  readonly detectsZeroPages: boolean;
  readonly dateMs: number;
  readonly clockNs: bigint;
  /** Stored with each part. */
  readonly about?: SnapshotAbout;
};

/** A snapshot to load into the machine. */
export type LoadOrder = {
  readonly tag: string;
  readonly vmState: string;
  readonly devices: readonly string[];
  readonly capabilities: readonly string[];
  readonly uuid: string;
};

/** Renames a snapshot to `as`, and replaces others with that tag on these nodes. */
export type RenamePlan = {
  readonly tag: string;
  readonly as: string;
  /** Date of the renamed snapshot; distinguishes it from the replaced ones. */
  readonly dateMs: number;
  readonly devices: readonly string[];
};

export type DeletePlan = { readonly tag: string; readonly devices: readonly string[] };
export type CompactPlan = { readonly devices: readonly string[] };

/** The image file of a node before and after a compaction; bytes. */
export type Compaction = {
  readonly node: string;
  readonly fileBytesBefore: number;
  readonly fileBytes: number;
  /** Space that the file uses on its file system, without holes. */
  readonly allocatedBytesBefore: number;
  readonly allocatedBytes: number;
  readonly movedBytes: number;
};

export type VerifyPlan = { readonly tag: string; readonly vmState: string | null; readonly devices: readonly string[] };

/**
 * Running work on images. Promises reject with a SnapshotError, after a cancel with `job_cancelled`. After a failure
 * `ended` rejects last: when changes are undone, or cannot be (`left`).
 */
export interface SnapshotTask<Result = void> {
  /** Bytes done and to be done; both only grow. */
  progress(): { readonly current: number; readonly total: number };
  pause(): void;
  resume(): void;
  /** Incomplete changes are undone before `ended` rejects. No effect after the end or after `apply`. */
  cancel(): void;
  readonly ended: Promise<Result>;
}

export interface SaveTask extends SnapshotTask {
  /** Resolves when state and disks are captured and the guest may continue; digests follow. */
  readonly captured: Promise<void>;
}

/**
 * A load in three steps: `loaded` resolves when the machine is read and checked in separate memory; `apply` switches
 * the disks; `release` frees their earlier content, or `revert` switches them back. `ended` resolves after `release`.
 */
export interface LoadTask extends SnapshotTask {
  readonly loaded: Promise<LoadedGuest>;
  /** Switches all disks or none. With `disks_in_doubt`, some may have stayed switched. */
  apply(): Promise<void>;
  /**
   * Rejects if a disk cannot be switched back: disks and machine do not match. `ended` rejects afterwards in any case.
   */
  revert(): Promise<void>;
  release(): void;
}

/** The block device nodes of a machine. */
export interface BlockNodes {
  /** True while the images are locked and may be used here. It is the same for all images. */
  readonly isActive: boolean;
  /**
   * Locks all images and reads them again; no effect if they are active. Rejects with a SnapshotError, such as
   * `image_locked`, if one of them cannot be used: then all are inactive.
   */
  activate(): Promise<void>;
  /**
   * Flushes and unlocks all images, after running changes of images have ended; running reads fail with
   * `node_inactive`. The guest must stand still. Rejects with a SnapshotError if an image cannot be flushed: `activate`
   * makes all images active again then.
   */
  deactivate(): Promise<void>;
  /** The current nodes; new objects after each change. Reads memory of this thread only. */
  nodes(): readonly BlockNode[];
  /** Called after the list of snapshots of a node has changed. */
  onChange(listener: () => void): void;
  save(order: SaveOrder): SaveTask;
  load(order: LoadOrder): LoadTask;
  /** Removes the snapshot from the nodes that hold it; the other nodes are not changed. */
  delete(plan: DeletePlan): SnapshotTask;
  rename(plan: RenamePlan): SnapshotTask;
  verify(plan: VerifyPlan): SnapshotTask<VerifyResult>;
  /**
   * Shortens image files to the clusters that they use. The images are valid at every moment, even if the task fails.
   */
  compact(plan: CompactPlan): SnapshotTask<readonly Compaction[]>;
  /** Reads the stored digests of the snapshot on these nodes: little data for any size. Other tasks may run. */
  digests(plan: DeletePlan): SnapshotTask<readonly DigestReading[]>;
  /** Switches the disks without a machine: completes a load that a crash interrupted. */
  applyDisks(plan: DeletePlan): SnapshotTask;
}
