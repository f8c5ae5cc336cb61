/*
 * The interface of an image. All offsets and lengths are bytes and exact below 2^53. Methods reject with a BlockError.
 * Methods may be called while other calls are in progress: requests that only read or write guest data run
 * concurrently; a change of snapshots waits for all earlier calls and delays all later ones.
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
  /** Extra data behind QEMU's 24 bytes, unchanged: vmferry's or another program's. */
  readonly extra: Uint8Array;
};

export type NewSnapshot = Omit<ImageSnapshot, 'id' | 'diskBytes' | 'icount'>;

/** A range of a disk that has its own clusters in this image; adjacent ranges are joined. */
export type AllocatedStretch = { readonly offset: number; readonly bytes: number };

/** Appends to the VM state area of the active disk. The next snapshot contains the area. */
export interface VmStateWriter {
  /** Bytes appended so far. */
  readonly position: number;
  /**
   * Appends; resolves when `bytes` may be overwritten. Up to 8 calls may be in progress; the data is in the order of
   * the calls. Clusters that are all zero are not stored.
   */
  append(bytes: Uint8Array): Promise<void>;
  /** Pads with zeros to the next cluster boundary. @returns the new position. */
  align(): number;
}

/** The content of one snapshot, read through its own tables: the active disk is not touched. */
export interface SnapshotReader {
  readonly snapshot: ImageSnapshot;
  /** Reads the VM state area; data appended behind `vmStateBytes` can be read too. Holes read as zeros. */
  readVmState(position: number, into: Uint8Array): Promise<void>;
  /** Overwrites VM state in place. The clusters must not be holes and must belong to this snapshot only. */
  rewriteVmState(position: number, bytes: Uint8Array): Promise<void>;
  readDisk(offset: number, into: Uint8Array): Promise<void>;
  /** The allocated ranges of the snapshot's disk in order, without the backing file and without zero clusters. */
  allocatedDisk(): AsyncIterable<AllocatedStretch>;
  /** The file offset of the cluster that holds this byte; null if the byte has no cluster. */
  fileOffsetOfVmState(position: number): Promise<number | null>;
  fileOffsetOfDisk(offset: number): Promise<number | null>;
}

/**
 * A prepared change of a disk to the content of a snapshot. The old content is complete until `release`.
 * Order of calls: `commit`, then `revert` or `release`; or only `abandon`.
 */
export interface PreparedApply {
  /** The content that the file's header points to; unknown after a header write that could not be flushed. */
  readonly disk: 'before' | 'snapshot' | 'unknown';
  /** Switches the disk to the snapshot in one header write. */
  commit(): Promise<void>;
  /** Switches the disk back, and frees the prepared tables. */
  revert(): Promise<void>;
  /** Frees the old content of the disk. */
  release(): Promise<void>;
  /** Frees the prepared tables; only before `commit`. */
  abandon(): Promise<void>;
}

/** Faults that were found and repaired when the image was opened. */
export type RepairReport = {
  /** Clusters with a count above the number of their references; the excess is corrected. */
  readonly leakedClusters: number;
  /** Counts below the number of references, and wrong COPIED flags. */
  readonly correctedEntries: number;
};

/** A call of the operating system on an image's file. */
export type FileCall = {
  readonly doing: 'reading' | 'writing' | 'flushing' | 'cutting' | 'punching a hole' | 'looking for its name';
  readonly position: number;
  readonly bytes: number;
};

/** Receives progress: bytes done, and bytes to do as far as they are known. */
export type WorkMeter = { addTotal(bytes: number): void; addCurrent(bytes: number): void };

/** Progress of a compaction, and a call between its steps: an error that `breathe` throws ends the compaction. */
export type CompactionPace = WorkMeter & { breathe(): Promise<void> };

/** Length of an image file, and the space that it occupies on its file system; bytes. */
export type FileSizes = { readonly fileBytes: number; readonly allocatedBytes: number };

export type CompactionReport = { readonly before: FileSizes; readonly after: FileSizes; readonly movedBytes: number };

export interface Image {
  readonly path: string;
  readonly isReadOnly: boolean;
  /** Reason and remedy, as sentences, if the image should be writable but is open read-only; otherwise null. */
  readonly readOnlyReason: string | null;
  /** Virtual size. */
  readonly diskBytes: number;
  readonly clusterBytes: number;
  /** Null if nothing was repaired. */
  readonly repaired: RepairReport | null;
  /** A new array after each change. */
  readonly snapshots: readonly ImageSnapshot[];
  /** System calls in progress on the image's own file; a call keeps its object until it ends. */
  readonly underWay: Iterable<FileCall>;

  /** Reads guest data. Data that was never written comes from the backing file, or is zero. */
  read(offset: number, into: Uint8Array): Promise<void>;
  write(offset: number, from: Uint8Array): Promise<void>;
  /** Makes all whole clusters of the range read as zeros, and frees them. */
  discard(offset: number, bytes: number): Promise<void>;
  /** Makes all acknowledged writes stable. */
  flush(): Promise<void>;

  /** Empties the active VM state area and begins a new one. */
  beginVmState(): Promise<VmStateWriter>;
  /**
   * Frees the data that was appended since `beginVmState`, unless a snapshot contains it. Rejects if the image can no
   * longer be written; the file may contain a failed snapshot in this case.
   */
  dropVmState(): Promise<void>;
  /** Takes a snapshot of the disk and the VM state area; the area is empty afterwards. Durable when it resolves. */
  createSnapshot(snapshot: NewSnapshot): Promise<ImageSnapshot>;
  /**
   * Bytes of tables that a deletion reads. The deletion reports them to `meter` as done only; the caller adds them to
   * the total. It reports the bytes that it frees both as total and as done.
   */
  tableBytesOf(id: string): number;
  deleteSnapshot(id: string, meter?: WorkMeter): Promise<void>;
  /**
   * Renames a snapshot and removes the snapshots with the ids `inPlaceOf`. The last removal and the new name are one
   * write.
   */
  renameSnapshot(id: string, to: { readonly name: string; readonly inPlaceOf: readonly string[] }): Promise<void>;
  /**
   * Shortens the file to the clusters that it uses, as far as possible (docs/image-format.md). Guest data may be read
   * and written during the compaction; snapshots must not be changed. The image is valid at every moment, also if the
   * compaction fails.
   */
  compact(pace: CompactionPace): Promise<CompactionReport>;
  /** Opens a snapshot to be read, by any number of readers. Reads fail after the snapshot was deleted. */
  openSnapshot(id: string): Promise<SnapshotReader>;
  prepareApply(id: string): Promise<PreparedApply>;

  /**
   * @throws BlockError `image_gone` if the file was removed, replaced, cut, or its header overwritten by another
   * program.
   */
  assertPresent(): Promise<void>;
  /**
   * Reads back from the file all tables that opening it needs, and the tables of the snapshot with this id.
   * @throws BlockError that names the structure which differs from the data that was read or written before.
   */
  checkFile(id?: string): Promise<void>;
  /** Flushes, releases the locks and closes the file. */
  close(): Promise<void>;
}

/** Codes of image errors; each is also an error code of the domain. */
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

/** An error of an image. The message names the file, the structure, its offset in the file and the expected value. */
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
