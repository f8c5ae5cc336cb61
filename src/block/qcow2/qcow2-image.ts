import {
  BlockError,
  type CompactionPace,
  type CompactionReport,
  type FileCall,
  type FileSizes,
  type Image,
  type ImageSnapshot,
  type NewSnapshot,
  type PreparedApply,
  type RepairReport,
  type SnapshotReader,
  type VmStateWriter,
  type WorkMeter,
} from '../image.ts';
import { ActiveDisk } from './active-disk.ts';
import { type Committer, reclaim, TwoTrees } from './commit.ts';
import { compact } from './compaction.ts';
import { assertSameFile, readBack } from './load-image.ts';
import { deleteSnapshot, renameSnapshot, takeSnapshot } from './snapshot-changes.ts';
import { readSnapshotL1, TreeReader } from './snapshot-reader.ts';
import { asSnapshot, type SnapshotEntry } from './snapshot-table.ts';
import { VmStateArea } from './vm-state-area.ts';
import { LOCK_KEYS, type Volume } from './volume.ts';

/** An open qcow2 image. */
export class Qcow2Image implements Image {
  readonly path: string;
  readonly isReadOnly: boolean;
  readonly readOnlyReason: string | null;
  readonly clusterBytes: number;
  readonly repaired: RepairReport | null;
  readonly #volume: Volume;
  readonly #committer: Committer;
  readonly #disk: ActiveDisk;
  #shown: { of: readonly SnapshotEntry[] | null; snapshots: readonly ImageSnapshot[] } = { of: null, snapshots: [] };
  #vmState: VmStateArea | null = null;
  #isApplying = false;
  #closed: Promise<void> | null = null;

  constructor(volume: Volume, committer: Committer, repaired: RepairReport | null) {
    this.#volume = volume;
    this.#committer = committer;
    this.#disk = new ActiveDisk(volume, committer);
    this.path = volume.file.path;
    this.isReadOnly = volume.refcounts === null;
    this.readOnlyReason = volume.readOnlyReason;
    this.clusterBytes = volume.geometry.clusterBytes;
    this.repaired = repaired;
  }

  get diskBytes(): number {
    return this.#volume.pointers.diskBytes;
  }

  get snapshots(): readonly ImageSnapshot[] {
    if (this.#shown.of !== this.#volume.snapshots) {
      this.#shown = { of: this.#volume.snapshots, snapshots: this.#volume.snapshots.map(asSnapshot) };
    }
    return this.#shown.snapshots;
  }

  get underWay(): Iterable<FileCall> {
    return this.#volume.file.underWay;
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#disk.read(offset, into);
  }

  write(offset: number, from: Uint8Array): Promise<void> {
    return this.#disk.write(offset, from);
  }

  discard(offset: number, bytes: number): Promise<void> {
    return this.#disk.discard(offset, bytes);
  }

  async flush(): Promise<void> {
    if (this.isReadOnly) return;
    const range = { first: LOCK_KEYS.flush, last: LOCK_KEYS.flush, alone: false };
    await this.#volume.locks.with(range, async () => {
      this.#volume.assertWritable();
      await this.#committer.commit();
    });
  }

  beginVmState(): Promise<VmStateWriter> {
    return this.#alone(async () => {
      this.#volume.assertWritable();
      this.#vmState?.drop();
      this.#vmState = new VmStateArea(this.#volume);
      return this.#vmState;
    });
  }

  dropVmState(): Promise<void> {
    return this.#alone(async () => {
      this.#vmState?.drop();
      this.#vmState = null;
      this.#volume.assertWritable();
      await this.#committer.commit();
      await reclaim(this.#volume);
    });
  }

  createSnapshot(snapshot: NewSnapshot): Promise<ImageSnapshot> {
    // The rest of the last cluster must be zero. The padding is queued before the snapshot.
    this.#vmState?.align();
    return this.#alone(async () => {
      this.#assertNotApplying();
      await assertSameFile(this.#volume);
      await takeSnapshot(this.#volume, this.#committer, { snapshot, vmState: this.#vmState });
      this.#vmState = null;
      return this.snapshots.at(-1)!;
    });
  }

  tableBytesOf(id: string): number {
    return this.#snapshot(id).l1.entries * this.clusterBytes;
  }

  deleteSnapshot(id: string, meter?: WorkMeter): Promise<void> {
    return this.#alone(async () => {
      this.#assertNotApplying();
      await assertSameFile(this.#volume);
      await deleteSnapshot(this.#volume, this.#committer, { entry: this.#snapshot(id), meter });
      await reclaim(this.#volume, meter);
    });
  }

  renameSnapshot(id: string, { name, inPlaceOf }: { name: string; inPlaceOf: readonly string[] }): Promise<void> {
    return this.#alone(async () => {
      this.#assertNotApplying();
      await assertSameFile(this.#volume);
      // All but one are deleted before, because one change can remove only one snapshot.
      for (const other of inPlaceOf.slice(1)) {
        await deleteSnapshot(this.#volume, this.#committer, { entry: this.#snapshot(other), meter: undefined });
      }
      const entry = this.#snapshot(id);
      const [last] = inPlaceOf;
      const replaced = last === undefined ? null : this.#snapshot(last);
      await renameSnapshot(this.#volume, this.#committer, { entry, name, replaced });
      await reclaim(this.#volume);
    });
  }

  async compact(pace: CompactionPace): Promise<CompactionReport> {
    await this.#alone(async () => {
      this.#volume.assertWritable();
      this.#assertNotApplying();
      if (this.#vmState !== null) throw new Error(`${this.path}: compacted while VM state was being written`);
      await assertSameFile(this.#volume);
    });
    const before = this.#sizes();
    const movedBytes = await compact(this.#volume, this.#committer, pace);
    return { before, after: this.#sizes(), movedBytes };
  }

  openSnapshot(id: string): Promise<SnapshotReader> {
    const range = { first: LOCK_KEYS.snapshots, last: LOCK_KEYS.snapshots, alone: false };
    return this.#volume.locks.with(range, async () => {
      const entry = this.#snapshot(id);
      return new TreeReader(this.#volume, entry, await readSnapshotL1(this.#volume, entry));
    });
  }

  prepareApply(id: string): Promise<PreparedApply> {
    return this.#alone(async () => {
      this.#assertNotApplying();
      await assertSameFile(this.#volume);
      const onEnd = () => {
        this.#isApplying = false;
      };
      const prepared = await TwoTrees.prepare(this.#volume, this.#committer, { entry: this.#snapshot(id), onEnd });
      this.#isApplying = true;
      return prepared;
    });
  }

  assertPresent(): Promise<void> {
    return this.#alone(() => assertSameFile(this.#volume));
  }

  checkFile(id?: string): Promise<void> {
    return this.#alone(async () => {
      if (this.#volume.refcounts !== null) await this.#committer.commit();
      await readBack(this.#volume, id === undefined ? undefined : this.#snapshot(id));
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#alone(() => this.#close());
    return this.#closed;
  }

  async #close(): Promise<void> {
    try {
      if (this.#volume.refcounts !== null && this.#volume.broken === null) {
        this.#vmState?.drop();
        await this.#committer.commit();
      }
    } finally {
      await this.#volume.backing?.close();
      await this.#volume.file.close();
    }
  }

  #sizes(): FileSizes {
    const { bytes, allocatedBytes } = this.#volume.file;
    return { fileBytes: bytes, allocatedBytes };
  }

  #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#volume.alone(work);
  }

  #snapshot(id: string): SnapshotEntry {
    const entry = this.#volume.snapshots.find((snapshot) => snapshot.id === id);
    if (entry !== undefined) return entry;
    throw new BlockError('snapshot_not_found', `${this.path}: there is no snapshot with id ${id}.`);
  }

  /** While a snapshot is being applied the disk has two trees; changes of snapshots can handle only one. */
  #assertNotApplying(): void {
    if (this.#isApplying) throw new Error(`${this.path}: snapshots were changed while a snapshot was being applied`);
  }
}
