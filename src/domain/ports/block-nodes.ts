import type { ErrorCode } from '../errors.ts';
import type { LoadedGuest } from './migration-session.ts';
import type { TransferErrorCode } from './transfer-errors.ts';

/* Block device nodes of a machine, and the snapshots in their images. */

/** A snapshot as one node's image lists it. It is named by its tag, never by its id; of two with one tag, the first. */
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
  /** True if digests were kept with it, so that it can be verified byte for byte. */
  readonly hasDigests: boolean;
  /** What was told about it when it was taken; null or left out where nothing was. */
  readonly about?: SnapshotAbout | null;
};

/** What is told about a snapshot. */
export type SnapshotAbout = {
  readonly description: string | null;
  /** When it may be deleted, milliseconds since 1970; null: never. */
  readonly expiresAtMs: number | null;
  /** RAM of the machine that a load of it needs, bytes. */
  readonly ramBytes: number;
  readonly vcpus: number;
};

/** A block device node and what its image holds. */
export type BlockNode = {
  readonly name: string;
  readonly path: string;
  readonly isReadOnly: boolean;
  /** Why a node that was to be written is open for reading only, as sentences; null if it is written. */
  readonly readOnlyReason: string | null;
  /**
   * False while the guest that uses the image is on the other side of a migration, or waits for its first `cont`: others
   * may write to it then, and what is said here is what it held when it was last looked at.
   */
  readonly isActive: boolean;
  /** Virtual size in bytes. */
  readonly diskBytes: number;
  readonly snapshots: readonly NodeSnapshot[];
};

/** A code of the table of errors; where a stream does not suit or a thread died, the one that migrations have for it. */
export type SnapshotErrorCode = ErrorCode | TransferErrorCode;

/** An error that crossed a thread: plain data. With code `snapshot_damaged` it says where, the first 64 places at most. */
export type SnapshotError = {
  readonly code: SnapshotErrorCode;
  readonly message: string;
  readonly damage?: readonly DamageReport[];
  /** True if something half-made is left: the next start takes it back, or finishes a deletion. Told by `ended`. */
  readonly left?: boolean;
};

/** Where damage was found: what of the machine it hits, and where it lies in the image file. */
export type DamageReport = {
  readonly node: string;
  /** RAM block, or null where the damage is in device state, the disk's content or the image's own tables. */
  readonly ramBlock: string | null;
  /** What `offset` counts in: the RAM block, the VM state, the disk, or the image file. */
  readonly area: 'ram' | 'vm-state' | 'disk' | 'metadata';
  readonly offset: number;
  readonly bytes: number;
  /** Of the first damaged byte's cluster in the image file, or null if it has none. */
  readonly fileOffset: number | null;
};

/** Digest of one RAM block or disk as kept with a snapshot. */
export type SnapshotDigest = {
  readonly kind: 'ram-block' | 'device-state' | 'disk';
  readonly name: string;
  readonly digest: string;
};

/** Digests as they were kept with one node's part of a snapshot; nothing was compared with them. */
export type PartDigests = {
  /** Empty where the part has no VM state. */
  readonly ramBlocks: readonly { readonly name: string; readonly bytes: number; readonly digest: string }[];
  readonly deviceState: string | null;
  readonly disk: string;
};

/** What could be read of them; neither for a part with which none were kept. */
export type DigestReading = {
  readonly node: string;
  readonly digests: PartDigests | null;
  /** Why those that were kept cannot be shown: a sentence. */
  readonly fault: string | null;
};

export type VerifyResult = {
  /** False for a snapshot of another program: then its structure was checked, and that its stream can be read. */
  readonly hadDigests: boolean;
  readonly digests: readonly SnapshotDigest[];
  readonly checkedBytes: number;
};

/** A snapshot of the machine to be saved; the guest stands still until it is captured. */
export type SaveOrder = {
  readonly tag: string;
  /** Node that takes RAM and device state; null: only disks are saved. */
  readonly vmState: string | null;
  /** Nodes of which a snapshot is taken; holds `vmState` too if its disk is to be part of it. */
  readonly devices: readonly string[];
  /** Run state to be stored: globalstate's text. */
  readonly globalState: string;
  readonly detectsZeroPages: boolean;
  readonly dateMs: number;
  readonly clockNs: bigint;
  /** Kept with each part. */
  readonly about?: SnapshotAbout;
};

/** A snapshot to be loaded into the machine. */
export type LoadOrder = {
  readonly tag: string;
  readonly vmState: string;
  readonly devices: readonly string[];
  readonly capabilities: readonly string[];
  readonly uuid: string;
};

/** A snapshot is to be called `as`, in the place of all others of that tag on these nodes. */
export type RenamePlan = {
  readonly tag: string;
  readonly as: string;
  /** Of the snapshot that is renamed: tells it from those that go. */
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
  /** Space that the file takes on its file system: holes take none. */
  readonly allocatedBytesBefore: number;
  readonly allocatedBytes: number;
  readonly movedBytes: number;
};

export type VerifyPlan = { readonly tag: string; readonly vmState: string | null; readonly devices: readonly string[] };

/**
 * Work on images under way. Every promise rejects with a plain SnapshotError; a cancel with code `job_cancelled`. A
 * failure rejects all that have not resolved, `ended` last and only when nothing half-made is left, or nothing more can
 * be done about it: then its error has `left`.
 */
export interface SnapshotTask<Result = void> {
  /** Bytes done and to be done; both only grow. */
  progress(): { readonly current: number; readonly total: number };
  pause(): void;
  resume(): void;
  /** Everything half-made is taken back before `ended` rejects. Harmless once it has ended, or a load is applied. */
  cancel(): void;
  readonly ended: Promise<Result>;
}

export interface SaveTask extends SnapshotTask {
  /** Resolves when the machine may go on: its state and disks are captured, what follows are digests. */
  readonly captured: Promise<void>;
}

/**
 * A load in three steps, so that the guest and its disks change together or not at all: `loaded` resolves when the
 * machine has been read and checked into memory of its own, with the disks as they were; `apply` turns the disks;
 * then `release` gives up what they held before, or `revert` turns them back. `ended` resolves after `release`.
 */
export interface LoadTask extends SnapshotTask {
  readonly loaded: Promise<LoadedGuest>;
  /**
   * All disks or none: if one cannot be turned, those that were are turned back before this rejects. With code
   * `disks_in_doubt` that is not certain: some may be the snapshot's.
   */
  apply(): Promise<void>;
  /**
   * Rejects if a disk could not be turned back: then they do not agree with the machine any more. Either way `ended`
   * rejects behind it.
   */
  revert(): Promise<void>;
  release(): void;
}

/** The block device nodes of a machine. */
export interface BlockNodes {
  /** True while the images are locked and may be used here: all of them, or none. */
  readonly isActive: boolean;
  /**
   * Takes the locks of all images and reads them anew; harmless if they are active. Rejects with a SnapshotError, such
   * as `image_locked`, if one of them cannot be used: then all are inactive.
   */
  activate(): Promise<void>;
  /**
   * Flushes all images and gives up their locks, once what changes them has ended; what only reads them fails with
   * `node_inactive`. The guest must stand still. Rejects with a SnapshotError if one of them cannot be flushed:
   * `activate` makes all of them active again then.
   */
  deactivate(): Promise<void>;
  /** As of now; new objects after each change. Asks no thread. */
  nodes(): readonly BlockNode[];
  /** Called after the list of snapshots of a node has changed. */
  onChange(listener: () => void): void;
  save(order: SaveOrder): SaveTask;
  load(order: LoadOrder): LoadTask;
  /** Removes the tag from those of the nodes that hold it; harmless for the others. */
  delete(plan: DeletePlan): SnapshotTask;
  rename(plan: RenamePlan): SnapshotTask;
  verify(plan: VerifyPlan): SnapshotTask<VerifyResult>;
  /** Shortens image files to the clusters that they use. The images are valid at every moment, also if the task fails. */
  compact(plan: CompactPlan): SnapshotTask<readonly Compaction[]>;
  /** Reads the digests kept with the tag on these nodes: little, whatever the size of the snapshot. Other tasks may run. */
  digests(plan: DeletePlan): SnapshotTask<readonly DigestReading[]>;
  /** Turns the disks to the snapshot, without a machine: what finishes a load that a crash interrupted. */
  applyDisks(plan: DeletePlan): SnapshotTask;
}
