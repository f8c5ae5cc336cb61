// The same history on two images, one changed by the library and one by QEMU, and a model of the expected content of
// both.

import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Image } from '../../../src/block/image.ts';
import { openImage } from '../../../src/block/qcow2/open-image.ts';
import {
  CLEAN,
  check,
  qemuContent,
  qemuDiscard,
  qemuSnapshot,
  qemuWrite,
  type Stretch,
  snapshotRows,
} from './tools.ts';

/** Positions count through the stretches only, one behind the other. */
export type Step =
  | { readonly kind: 'write' | 'discard' | 'read'; readonly at: number; readonly bytes: number; readonly salt: number }
  | { readonly kind: 'snapshot'; readonly vmStateBytes: number }
  | { readonly kind: 'apply'; readonly which: number; readonly end: 'release' | 'revert' | 'abandon' }
  | { readonly kind: 'delete'; readonly which: number }
  | { readonly kind: 'drop VM state'; readonly bytes: number }
  | { readonly kind: 'flush' | 'reopen' | 'swap' };

export type DiskShape = {
  readonly clusterBits: number;
  readonly diskBytes: number;
  /** The parts of the disk that are used. */
  readonly stretches: readonly Stretch[];
};

/** The initial content of the disk, stretches only. */
export type Start = { readonly ours: string; readonly theirs: string; readonly disk: Buffer };

const SNAPSHOTS_MAX = 6;

/** Histories of a disk, with most positions near cluster boundaries. */
export function histories({ clusterBits, stretches }: DiskShape, stepsMax: number): fc.Arbitrary<Step[]> {
  const clusterBytes = 2 ** clusterBits;
  const total = stretches.reduce((sum, { bytes }) => sum + bytes, 0);
  const nearBoundary = fc
    .tuple(fc.nat(Math.floor(total / clusterBytes)), fc.constantFrom(0, 0, 0, 1, -1, 512, -512, 511, 100))
    .map(([cluster, delta]) => Math.min(total - 1, Math.max(0, cluster * clusterBytes + delta)));
  const at = fc.oneof({ weight: 3, arbitrary: nearBoundary }, { weight: 1, arbitrary: fc.nat(total - 1) });
  const bytes = fc.oneof(
    fc.integer({ min: 1, max: 1024 }),
    fc.constantFrom(1, 2, 3, 5).map((clusters) => clusters * clusterBytes),
    fc.integer({ min: 1, max: 6 * clusterBytes }),
  );
  const salt = fc.nat(255);
  const extent = (kind: 'write' | 'discard' | 'read') => fc.record({ kind: fc.constant(kind), at, bytes, salt });
  const which = fc.nat(SNAPSHOTS_MAX - 1);
  const vmStateBytes = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5 * clusterBytes }));
  const plain = (kind: 'flush' | 'reopen' | 'swap') => fc.record({ kind: fc.constant(kind) });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 7, arbitrary: extent('write') },
    { weight: 3, arbitrary: extent('discard') },
    { weight: 2, arbitrary: extent('read') },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('snapshot' as const), vmStateBytes }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('apply' as const),
        which,
        end: fc.constantFrom('release', 'release', 'revert', 'abandon'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), which }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop VM state' as const), bytes: vmStateBytes }) },
    { weight: 2, arbitrary: plain('flush') },
    { weight: 1, arbitrary: plain('reopen') },
    { weight: 1, arbitrary: plain('swap') },
  );
  return fc.array(step, { minLength: 1, maxLength: stepsMax, size: 'max' });
}

type ModelSnapshot = { readonly name: string; readonly disk: Buffer };
/** The VM states in a file, by the snapshot's name: only the library writes them. */
type Side = { readonly path: string; readonly vmStates: Map<string, Buffer> };

/** Executes a history and compares both images with the model. @throws AssertionError, or the error of the library */
export async function carryOut(shape: DiskShape, start: Start, steps: readonly Step[]): Promise<void> {
  const history = new History(shape, start);
  try {
    await history.open();
    for (const step of steps) await history.take(step);
    await history.compareAll();
  } finally {
    await history.close();
    for (const path of [start.ours, start.theirs]) rmSync(path);
  }
}

class History {
  readonly #shape: DiskShape;
  readonly #disk: Buffer;
  #snapshots: ModelSnapshot[] = [];
  #ours: Side;
  #theirs: Side;
  #image: Image | null = null;
  #names = 0;

  constructor(shape: DiskShape, start: Start) {
    this.#shape = shape;
    this.#disk = Buffer.from(start.disk);
    this.#ours = { path: start.ours, vmStates: new Map() };
    this.#theirs = { path: start.theirs, vmStates: new Map() };
  }

  async open(): Promise<void> {
    this.#image = await openImage(this.#ours.path);
    expect(this.#image.repaired).toBeNull();
    expect(this.#image.diskBytes).toBe(this.#shape.diskBytes);
  }

  async close(): Promise<void> {
    const image = this.#image;
    this.#image = null;
    await image?.close();
  }

  async take(step: Step): Promise<void> {
    await this.#carryOut(step);
    // What waits in memory may only be missing in the file, so a write that is not flushed yet is no corruption.
    const isFlushed = step.kind !== 'write' && step.kind !== 'discard' && step.kind !== 'read';
    const found = await check(this.#ours.path);
    if (isFlushed) expect(found, JSON.stringify(step)).toEqual(CLEAN);
    else expect({ ...found, leaks: 0 }, JSON.stringify(step)).toEqual(CLEAN);
  }

  /** Both active disks, all snapshots of both, all VM states, and the rows of both tables. */
  async compareAll(): Promise<void> {
    const image = this.#image!;
    await image.flush();
    expect(await check(this.#ours.path)).toEqual(CLEAN);
    expect(same(await this.#readOurs(), this.#disk), 'our disk, read by us').toBeNull();
    for (const side of [this.#ours, this.#theirs]) {
      const whose = side === this.#ours ? 'our' : "QEMU's";
      const rows = await snapshotRows(side.path);
      expect(rows.map(({ name }) => name)).toEqual(this.#snapshots.map(({ name }) => name));
      expect(rows.map(({ vmStateBytes }) => vmStateBytes)).toEqual(
        this.#snapshots.map(({ name }) => side.vmStates.get(name)?.length ?? 0),
      );
      const disk = await qemuContent(side.path, this.#shape.stretches);
      expect(same(disk, this.#disk), `${whose} disk, read by QEMU`).toBeNull();
      for (const [index, { id, name }] of rows.entries()) {
        const held = await qemuContent(side.path, this.#shape.stretches, id);
        expect(same(held, this.#snapshots[index]!.disk), `${whose} snapshot ${name}, read by QEMU`).toBeNull();
      }
    }
    await this.#compareOurSnapshots(image);
  }

  async #compareOurSnapshots(image: Image): Promise<void> {
    for (const [index, { id, name, vmStateBytes }] of image.snapshots.entries()) {
      const reader = await image.openSnapshot(id);
      const disk = await readParts(this.#shape.stretches, (offset, into) => reader.readDisk(offset, into));
      expect(same(disk, this.#snapshots[index]!.disk), `our snapshot ${name}, read by us`).toBeNull();
      const vmState = Buffer.alloc(vmStateBytes);
      await reader.readVmState(0, vmState);
      expect(same(vmState, this.#ours.vmStates.get(name) ?? Buffer.alloc(0)), `VM state of ${name}`).toBeNull();
    }
  }

  async #carryOut(step: Step): Promise<void> {
    const image = this.#image!;
    switch (step.kind) {
      case 'write':
      case 'discard':
      case 'read':
        return this.#extent(step);
      case 'snapshot':
        return this.#createSnapshot(image, step.vmStateBytes);
      case 'apply':
        return this.#apply(image, step);
      case 'delete': {
        const [chosen] = this.#snapshots.splice(step.which, 1);
        if (chosen === undefined) return image.flush();
        await Promise.all([
          image.deleteSnapshot(idOf(image, chosen)),
          qemuSnapshot(this.#theirs.path, 'delete', chosen.name),
        ]);
        for (const { vmStates } of [this.#ours, this.#theirs]) vmStates.delete(chosen.name);
        return;
      }
      case 'drop VM state':
        await appendVmState(image, patterned(step.bytes, 77));
        return image.dropVmState().then(() => image.flush());
      case 'flush':
        return image.flush();
      case 'swap':
      case 'reopen':
        await this.close();
        if (step.kind === 'swap') [this.#ours, this.#theirs] = [this.#theirs, this.#ours];
        return this.open();
    }
  }

  async #extent(step: Extract<Step, { at: number }>): Promise<void> {
    const image = this.#image!;
    const { offset, from, bytes } = place(this.#shape.stretches, step);
    if (step.kind === 'read') {
      const into = Buffer.alloc(bytes);
      await image.read(offset, into);
      expect(same(into, this.#disk.subarray(from, from + bytes)), `read of ${bytes} at ${offset}`).toBeNull();
    } else if (step.kind === 'write') {
      const content = patterned(bytes, step.salt);
      await Promise.all([image.write(offset, content), qemuWrite(this.#theirs.path, offset, content)]);
      this.#disk.set(content, from);
    } else {
      await Promise.all([image.discard(offset, bytes), qemuDiscard(this.#theirs.path, offset, bytes)]);
      const clusterBytes = 2 ** this.#shape.clusterBits;
      const first = Math.ceil(offset / clusterBytes) * clusterBytes;
      const isToEnd = offset + bytes === this.#shape.diskBytes;
      const end = isToEnd ? offset + bytes : Math.floor((offset + bytes) / clusterBytes) * clusterBytes;
      if (end > first) this.#disk.fill(0, from + first - offset, from + end - offset);
    }
  }

  async #createSnapshot(image: Image, vmStateBytes: number): Promise<void> {
    if (this.#snapshots.length === SNAPSHOTS_MAX) return image.flush();
    this.#names += 1;
    const name = `s${this.#names}`;
    const vmState = patterned(vmStateBytes, this.#names);
    await appendVmState(image, vmState);
    const row = { name, dateMs: 1_700_000_000_123.456, clockNs: 123_456_789_012n, extra: new Uint8Array([1, 2, 3]) };
    await Promise.all([
      image.createSnapshot({ ...row, vmStateBytes }),
      qemuSnapshot(this.#theirs.path, 'create', name),
    ]);
    this.#ours.vmStates.set(name, vmState);
    this.#snapshots.push({ name, disk: Buffer.from(this.#disk) });
  }

  async #apply(image: Image, { which, end }: Extract<Step, { kind: 'apply' }>): Promise<void> {
    const chosen = this.#snapshots[which];
    if (chosen === undefined) return image.flush();
    const prepared = await image.prepareApply(idOf(image, chosen));
    if (end === 'abandon') return prepared.abandon().then(() => image.flush());
    await prepared.commit();
    const applied = await this.#readOurs();
    expect(same(applied, chosen.disk), `the disk after ${chosen.name} was applied`).toBeNull();
    expect({ ...(await check(this.#ours.path)), leaks: 0 }, 'applied, not released').toEqual(CLEAN);
    if (end === 'revert') return prepared.revert().then(() => image.flush());
    await prepared.release();
    await qemuSnapshot(this.#theirs.path, 'apply', chosen.name);
    this.#disk.set(chosen.disk);
    return image.flush();
  }

  #readOurs(): Promise<Buffer> {
    return readParts(this.#shape.stretches, (offset, into) => this.#image!.read(offset, into));
  }
}

async function appendVmState(image: Image, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return;
  const writer = await image.beginVmState();
  const half = bytes.length >> 1;
  await Promise.all([writer.append(bytes.subarray(0, half)), writer.append(bytes.subarray(half))]);
}

async function readParts(
  stretches: readonly Stretch[],
  read: (offset: number, into: Uint8Array) => Promise<void>,
): Promise<Buffer> {
  const parts = stretches.map(({ offset, bytes }) => ({ offset, into: Buffer.alloc(bytes, 0xaa) }));
  for (const { offset, into } of parts) await read(offset, into);
  return Buffer.concat(parts.map(({ into }) => into));
}

function idOf(image: Image, { name }: ModelSnapshot): string {
  const found = image.snapshots.find((snapshot) => snapshot.name === name);
  if (found === undefined) throw new Error(`The image has no snapshot ${name}.`);
  return found.id;
}

/** Where an extent lies on the disk; it ends with its stretch. */
function place(stretches: readonly Stretch[], extent: { at: number; bytes: number }) {
  let from = 0;
  for (const stretch of stretches) {
    const inside = extent.at - from;
    if (inside < stretch.bytes) {
      return {
        offset: stretch.offset + inside,
        from: extent.at,
        bytes: Math.min(extent.bytes, stretch.bytes - inside),
      };
    }
    from += stretch.bytes;
  }
  throw new Error(`position ${extent.at} lies behind the last stretch`);
}

/** Bytes that differ from place to place; one salt in eight gives zeros. */
export function patterned(bytes: number, salt: number): Buffer {
  const content = Buffer.alloc(bytes);
  if (salt % 8 === 7) return content;
  for (let index = 0; index < bytes; index += 1) content[index] = (salt * 37 + index + (index >> 8) * 3) & 0xff;
  return content;
}

/** Null if both are equal, otherwise the first difference, which is shorter than two buffers. */
function same(found: Buffer, expected: Buffer): string | null {
  if (found.equals(expected)) return null;
  const at = found.findIndex((byte, index) => byte !== expected[index]);
  return `${found.length} and ${expected.length} bytes, at ${at} ${found[at]} instead of ${expected[at]}`;
}
