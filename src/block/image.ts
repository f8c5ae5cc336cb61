/*
 * A qcow2 image as the rest of the program sees it. All offsets and lengths are bytes and exact below 2^53. Methods
 * reject with a BlockError. They may be called while others are under way: requests that only read or write guest
 * data run side by side; what changes snapshots waits for those before it and holds back those after it.
 */

/** A row of the image's snapshot table. */
export type ImageSnapshot = {
  readonly id: string;
  readonly name: string;
  /** Milliseconds since 1970; microsecond precision is kept in the image. */
  readonly dateMs: number;
  readonly clockNs: bigint;
  readonly vmStateBytes: number;
  readonly diskBytes: number;
  readonly icount: bigint | null;
  /** Extra data behind QEMU's 24 bytes: ours, or another program's, kept as it is. */
  readonly extra: Uint8Array;
};

export type NewSnapshot = Omit<ImageSnapshot, 'id' | 'diskBytes' | 'icount'>;

/** A stretch of a disk that has clusters of its own in this image; neighbours are joined. */
export type AllocatedStretch = { readonly offset: number; readonly bytes: number };

/** Appends to the VM state area of the active disk, for the next snapshot to take along. */
export interface VmStateWriter {
  /** Bytes appended so far. */
  readonly position: number;
  /**
   * Appends; resolves when `bytes` may be overwritten. Up to 8 calls may be under way; their order is that of the calls.
   * Clusters that are all zero are left out.
   */
  append(bytes: Uint8Array): Promise<void>;
  /** Moves on to the next cluster boundary. @returns the new position. */
  align(): number;
}

/** The content of one snapshot, read through its own tables: the active disk is not touched. */
export interface SnapshotReader {
  readonly snapshot: ImageSnapshot;
  /** Reads VM state from `position` on (it may go beyond `vmStateBytes`: what the writer appended). Holes read as zeros. */
  readVmState(position: number, into: Uint8Array): Promise<void>;
  /** Overwrites VM state in place. Only of clusters that no other snapshot shares and that are not holes. */
  rewriteVmState(position: number, bytes: Uint8Array): Promise<void>;
  readDisk(offset: number, into: Uint8Array): Promise<void>;
  /** What the snapshot's disk has of its own (not of a backing file), in order; zero clusters do not count. */
  allocatedDisk(): AsyncIterable<AllocatedStretch>;
  /** Where the cluster that holds this byte lies in the image file, or null if it has none. */
  fileOffsetOfVmState(position: number): Promise<number | null>;
  fileOffsetOfDisk(offset: number): Promise<number | null>;
}

/**
 * A disk that is about to become what a snapshot holds. Until `release` the old content is still there in full.
 * Order: `commit`, then `revert` or `release`; or `abandon` alone.
 */
export interface PreparedApply {
  /** Which of the two the file's header points to; unknown where a header was written and not made stable. */
  readonly disk: 'before' | 'snapshot' | 'unknown';
  /** Turns the disk over in one header write. */
  commit(): Promise<void>;
  /** Turns it back and gives up what was prepared. */
  revert(): Promise<void>;
  /** Gives up what the disk held before. */
  release(): Promise<void>;
  /** Gives up what was prepared, before `commit`. */
  abandon(): Promise<void>;
}

/** What opening found and put right. */
export type RepairReport = {
  /** Clusters whose count was higher than their references; they are free now. */
  readonly leakedClusters: number;
  /** Counts that were too low, and COPIED flags that were wrong. */
  readonly correctedEntries: number;
};

/** A call of the operating system on an image's file. */
export type FileCall = {
  readonly doing: 'reading' | 'writing' | 'flushing' | 'cutting' | 'punching a hole' | 'looking for its name';
  readonly position: number;
  readonly bytes: number;
};

/** Told how far work is: bytes done, and bytes to be done as far as is known. */
export type WorkMeter = { addTotal(bytes: number): void; addCurrent(bytes: number): void };

/** Progress of a compaction, and a call between its steps: an error that `breathe` throws ends the compaction. */
export type CompactionPace = WorkMeter & { breathe(): Promise<void> };

/** An image file's length, and what it takes on its file system; bytes. */
export type FileSizes = { readonly fileBytes: number; readonly allocatedBytes: number };

export type CompactionReport = { readonly before: FileSizes; readonly after: FileSizes; readonly movedBytes: number };

export interface Image {
  readonly path: string;
  readonly isReadOnly: boolean;
  /** Why an image that was to be written is open read-only, with what to do, as sentences; else null. */
  readonly readOnlyReason: string | null;
  /** Virtual size. */
  readonly diskBytes: number;
  readonly clusterBytes: number;
  /** Null if nothing had to be repaired. */
  readonly repaired: RepairReport | null;
  /** A new array after each change. */
  readonly snapshots: readonly ImageSnapshot[];
  /** Calls on the image's own file that have not ended yet; each is the same object for as long as it lasts. */
  readonly underWay: Iterable<FileCall>;

  /** Reads guest data; what was never written reads from the backing file, or as zeros. */
  read(offset: number, into: Uint8Array): Promise<void>;
  write(offset: number, from: Uint8Array): Promise<void>;
  /** Makes whole clusters inside the stretch read as zeros, and frees them. */
  discard(offset: number, bytes: number): Promise<void>;
  /** Everything that was acknowledged is on stable storage. */
  flush(): Promise<void>;

  /** Empties the active VM state area and begins a new one. */
  beginVmState(): Promise<VmStateWriter>;
  /**
   * Gives up what was appended since `beginVmState`, unless a snapshot has taken it. Rejects where nothing may be written
   * any more: a snapshot that failed may be in the file then.
   */
  dropVmState(): Promise<void>;
  /** Takes a snapshot of the disk, and of the VM state area, which is empty afterwards. Durable once it resolves. */
  createSnapshot(snapshot: NewSnapshot): Promise<ImageSnapshot>;
  /**
   * Bytes of tables that a deletion looks through. They, and then the bytes that it frees, are what `meter` is told of: the
   * former as done only, since they can be told before; the latter in full.
   */
  tableBytesOf(id: string): number;
  deleteSnapshot(id: string, meter?: WorkMeter): Promise<void>;
  /** Gives a snapshot another name and removes those with the ids `inPlaceOf`, in one write: both, or nothing. */
  renameSnapshot(id: string, to: { readonly name: string; readonly inPlaceOf: readonly string[] }): Promise<void>;
  /**
   * Shortens the file to the clusters that it uses, as far as possible (docs/image-format.md). Guest data may be read and
   * written meanwhile; snapshots must not be changed. The image is valid at every moment, also if the compaction fails.
   */
  compact(pace: CompactionPace): Promise<CompactionReport>;
  /** Several readers may be open; a snapshot that is deleted meanwhile makes them fail. */
  openSnapshot(id: string): Promise<SnapshotReader>;
  prepareApply(id: string): Promise<PreparedApply>;

  /** @throws BlockError `image_gone` if the file was removed, replaced, cut, or its header overwritten by another program. */
  assertPresent(): Promise<void>;
  /**
   * Reads all tables that a start needs back from the file, and those of the snapshot with this id, if one is given.
   * @throws BlockError that names what in the file is not as this image has read or written it.
   */
  checkFile(id?: string): Promise<void>;
  /** Flushes, lets go of the lock and the file. */
  close(): Promise<void>;
}

/** Codes of what may be wrong with an image; each is one of the domain's error codes. */
export type BlockErrorCode =
  | 'image_not_found'
  | 'image_not_qcow2'
  | 'image_unsupported'
  | 'image_corrupt'
  | 'image_truncated'
  | 'image_too_large'
  | 'image_locked'
  | 'image_read_only'
  | 'image_gone'
  | 'image_io_error'
  | 'no_space'
  | 'permission_denied'
  | 'snapshot_not_found'
  | 'snapshot_table_full'
  | 'out_of_range';

/** An error of an image. The message names the file, the structure, its offset in the file and what was expected. */
export class BlockError extends Error {
  readonly code: BlockErrorCode;

  constructor(code: BlockErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'BlockError';
    this.code = code;
  }
}

export type CreateOptions = {
  /** Virtual size in bytes, a multiple of 512. */
  readonly diskBytes: number;
  /** 9 to 21; default 16. */
  readonly clusterBits?: number;
};

export type OpenOptions = {
  /** Never write, take no exclusive lock, repair nothing. Default: false. */
  readonly readOnly?: boolean;
};
