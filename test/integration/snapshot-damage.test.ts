// Flipped bits in an image: verify reports the place, load refuses, and the guest keeps running unchanged.

import { statSync, truncateSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { combinations } from '../helpers/combinations.ts';
import { shared } from '../helpers/shared.ts';
import { type Bed, DISK_PATTERN, expectFailed, expectUnharmed, snapshotBed } from '../helpers/snapshots/bed.ts';
import { flipBit, ImageMap, overwriteEntry } from '../helpers/snapshots/qcow2-map.ts';

const NODES = { vmstate: 'disk0', devices: ['disk0', 'disk1'] };
const PAGE_BYTES = 4096;
/** The first bytes of every page that the guest has written; the number of the page follows. */
const PAGE_MAGIC = 0x5952524546474150n;
/** After QEMU's 24 bytes of extra data: the position of vmferry's digests in the VM state area. */
const MANIFEST_POSITION = 24 + 16;

type Damage = { readonly node: string; readonly area: string; readonly ramBlock?: string; readonly byte?: number };
type Found = {
  readonly node: string;
  readonly 'ram-block': string | null;
  readonly area: string;
  readonly offset: number;
  readonly bytes: number;
};

/** Flips a bit, checks the reports, and restores the bit. */
async function expectFound(bed: Bed, undo: () => void, damage: Damage): Promise<void> {
  const verified = await bed.snapshots.run('verify', 'whole', NODES);
  expectFailed(verified, 'snapshot_damaged');
  const found = verified.result?.damage as Found[];
  expect(found.length).toBeGreaterThan(0);
  for (const place of found) {
    expect(place).toMatchObject({ node: damage.node, area: damage.area, 'ram-block': damage.ramBlock ?? null });
  }
  const { byte } = damage;
  if (byte !== undefined) {
    expect(
      found.some(({ offset, bytes }) => offset <= byte && byte < offset + bytes),
      JSON.stringify(found),
    ).toBe(true);
  }
  await expectRefused(bed);
  undo();
  await bed.snapshots.does('verify', 'whole', NODES);
}

/** Expects that a load fails, and that the same guest still runs. */
async function expectRefused({ service, snapshots }: Bed): Promise<void> {
  const before = await service.guest();
  expectFailed(await snapshots.run('load', 'whole', NODES), 'snapshot_damaged');
  expect(await service.runState()).toBe('running');
  expect((await service.guest()).ticks).toBeGreaterThanOrEqual(before.ticks);
  await service.expectRunning();
}

const common = shared(() => snapshotBed({ extraDisks: 1 }));

/** With a snapshot of both disks, which every test except the last leaves unchanged. */
async function savedBed(): Promise<{ bed: Bed; map: ImageMap }> {
  const bed = common();
  if ((await bed.snapshots.tags()).length === 0) {
    await bed.service.expectRunning();
    await bed.snapshots.does('save', 'whole', NODES);
  }
  return { bed, map: new ImageMap(bed.images[0]!) };
}

/** Flips one bit of the VM state. */
function flipVmState(map: ImageMap, position: number): () => void {
  const entry = map.entry('whole');
  const at = map.fileOffset(entry, map.vmStateStart(entry) + position);
  expect(at).not.toBeNull();
  return flipBit(map.path, at!);
}

describe('a flipped bit', () => {
  test('in RAM is reported with RAM block and offset', async () => {
    const { bed, map } = await savedBed();
    const state = map.vmState('whole');
    const magic = Buffer.alloc(8);
    magic.writeBigUInt64LE(PAGE_MAGIC);
    const first = state.indexOf(magic);
    const last = state.lastIndexOf(magic);
    expect(last).toBeGreaterThan(first);
    for (const position of combinations([first, last], [last])) {
      const page = Number(state.readBigUInt64LE(position + 8));
      const undo = flipVmState(map, position + 100);
      await expectFound(bed, undo, {
        node: 'disk0',
        area: 'ram',
        ramBlock: 'ferry.ram',
        byte: page * PAGE_BYTES + 100,
      });
    }
    await expectUnharmed(bed, ['whole']);
  });

  test('in the device state or the description is detected', async () => {
    const { bed, map } = await savedBed();
    const state = map.vmState('whole');
    const positions = [
      state.lastIndexOf('ferry-console') < 0 ? -1 : state.indexOf('ferry-console') + 40,
      state.length - 3,
    ];
    for (const position of positions) {
      expect(position).toBeGreaterThan(0);
      await expectFound(bed, flipVmState(map, position), { node: 'disk0', area: 'vm-state', byte: position });
    }
    await expectUnharmed(bed, ['whole']);
  });

  test('in the digests themselves is detected', async () => {
    const { bed, map } = await savedBed();
    const position = Number(map.entry('whole').extra.readBigUInt64BE(MANIFEST_POSITION));
    for (const offset of combinations([0, 40, 300], [40])) {
      await expectFound(bed, flipVmState(map, position + offset), { node: 'disk0', area: 'metadata' });
    }
    await expectUnharmed(bed, ['whole']);
  });

  test('in a disk is reported with its offset', async () => {
    const { bed } = await savedBed();
    const map = new ImageMap(bed.images[1]!);
    const byte = DISK_PATTERN.offset + 100_000;
    const at = map.fileOffset(map.entry('whole'), byte)!;
    await expectFound(bed, flipBit(map.path, at), { node: 'disk1', area: 'disk', byte });
    await expectUnharmed(bed, ['whole']);
  });
});

test('a snapshot table with a wrong address is detected, and a load is refused', async () => {
  const { bed, map } = await savedBed();
  const entry = map.entry('whole');
  const magic = Buffer.alloc(8);
  magic.writeBigUInt64LE(PAGE_MAGIC);
  const { l2 } = map.slots(entry, map.vmStateStart(entry) + map.vmState('whole').indexOf(magic));
  const behindTheEnd = BigInt(Math.ceil(statSync(map.path).size / map.clusterBytes) + 10) * BigInt(map.clusterBytes);
  const toTheHeader = 1n << 63n;
  for (const value of combinations([0n, behindTheEnd, toTheHeader], [behindTheEnd])) {
    const undo = overwriteEntry(map.path, l2!, value);
    expectFailed(
      await bed.snapshots.run('verify', 'whole', NODES),
      'snapshot_damaged',
      'image_truncated',
      'image_corrupt',
    );
    await expectRefused(bed);
    undo();
    await bed.snapshots.does('verify', 'whole', NODES);
  }
  await bed.snapshots.does('load', 'whole', NODES);
  await expectUnharmed(bed, ['whole']);
});

test('a truncated image fails verify and load, and the guest keeps running', async () => {
  const { bed, map } = await savedBed();
  const entry = map.entry('whole');
  const middle = map.fileOffset(entry, map.vmStateStart(entry) + Math.floor(entry.vmStateBytes / 2))!;
  truncateSync(map.path, middle);
  expectFailed(await bed.snapshots.run('verify', 'whole', NODES), 'snapshot_damaged', 'image_truncated', 'image_gone');
  expectFailed(await bed.snapshots.run('load', 'whole', NODES), 'snapshot_damaged', 'image_truncated', 'image_gone');
  await bed.service.expectRunning();
});
