import { describe, expect, it } from 'vitest';
import type { GuestPanic } from '../../../src/domain/ports/hypervisor.ts';
import { DISK_BLOCK_BYTES, readDiskBlock } from '../../../src/machine/synthetic/disk-block.ts';
import { bodyOf } from '../../../src/machine/synthetic/guest-devices.ts';
import type { SyntheticMachine } from '../../../src/machine/synthetic/synthetic-machine.ts';
import { combinations, testInSoak } from '../../helpers/combinations.ts';
import { TestDisk } from '../../helpers/guest-disk.ts';
import { shared } from '../../helpers/shared.ts';
import {
  type DiskGuest,
  type DiskSnapshot,
  figuresOf,
  findingAfter,
  restoreAll,
  startDiskGuest,
  takeAll,
  untilDiskChecked,
  untilDiskWritten,
} from '../disk-bench.ts';
import { devicesOf, loadSnapshot, moveGuest, nextPanic, startGuest, until, untilTicks } from '../guest-bench.ts';

/** Few, so that blocks are soon checked, and written again. */
const BLOCKS = 32;

function smallDisk(): TestDisk {
  return new TestDisk(Buffer.alloc(BLOCKS * DISK_BLOCK_BYTES));
}

type Moments = { readonly old: DiskSnapshot; readonly recent: DiskSnapshot };

/** A stopped guest, its state at two moments, and blocks with further or first writes between them. */
type Past = { readonly guest: DiskGuest; readonly moments: Moments; readonly again: number; readonly first: number };

async function guestWithPast(): Promise<Past> {
  const guest = startDiskGuest(smallDisk());
  await untilDiskWritten(guest.machine, 6);
  const old = await takeAll(guest);
  guest.machine.release('snapshot');
  await untilDiskWritten(guest.machine, 16);
  const recent = await takeAll(guest);
  const [before, after] = [old, recent].map(({ disk }) => sequences(new TestDisk(disk)));
  const blocks = Array.from({ length: BLOCKS - 1 }, (_, index) => index + 1);
  const again = blocks.find((block) => before![block]! > 0 && after![block]! > before![block]!)!;
  const first = blocks.find((block) => before![block] === 0 && after![block]! > 0)!;
  return { guest, moments: { old, recent }, again, first };
}

function sequences(disk: TestDisk): number[] {
  return Array.from({ length: disk.bytes.length / DISK_BLOCK_BYTES }, (_, block) => {
    const content = readDiskBlock(disk.block(block));
    return content.kind === 'whole' ? content.sequence : 0;
  });
}

describe('a guest that is loaded with its disk', () => {
  it('continues with RAM and disk after each load', async () => {
    const guest = startDiskGuest(smallDisk());
    await untilDiskWritten(guest.machine, 5);
    const snapshot = await takeAll(guest);
    const { writes } = figuresOf(guest.machine);
    const [loads = 0] = combinations<readonly number[]>([5], [3]);
    for (let load = 0; load < loads; load += 1) {
      await restoreAll(guest, snapshot);
      await untilDiskWritten(guest.machine, 3);
      expect(figuresOf(guest.machine).writes).toBeLessThan(writes + 100);
    }
    expect(guest.machine.describe().guest?.panic).toBeNull();
  });

  it('has its disk checked completely, even if it is idle', async () => {
    const guest = startDiskGuest(smallDisk());
    await untilDiskWritten(guest.machine, 5);
    guest.machine.setWorkload({ rate: 0 });
    const snapshot = await takeAll(guest);
    const { checks, writes } = figuresOf(guest.machine);
    await restoreAll(guest, snapshot);
    await untilDiskChecked(guest.machine);
    await guest.machine.hold('operator');
    expect(figuresOf(guest.machine).checks).toBe(checks + BLOCKS);
    expect(figuresOf(guest.machine).writes).toBeLessThanOrEqual(writes + 1);
  });

  it('may have panicked because of its disk before', async () => {
    const guest = startDiskGuest(smallDisk());
    await untilDiskWritten(guest.machine, 5);
    const snapshot = await takeAll(guest);
    const blank = Buffer.alloc(snapshot.disk.length);
    await expect(findingAfter(guest, { ...snapshot, disk: blank })).resolves.toMatchObject({ kind: 'disk-lost' });
    await restoreAll(guest, snapshot);
    await untilDiskWritten(guest.machine, 3);
    expect(guest.machine.describe().guest?.panic).toBeNull();
  });

  it('is not taken over while a request is in progress', async () => {
    const guest = startDiskGuest(smallDisk());
    await untilDiskWritten(guest.machine, 2);
    const snapshot = await takeAll(guest);
    guest.disk.conduct = () => 'ignore';
    const requests = guest.disk.requests.length;
    guest.machine.release('snapshot');
    await expect.poll(() => guest.disk.requests.length, { interval: 2, timeout: 20_000 }).toBeGreaterThan(requests);
    const hold = guest.machine.hold('snapshot');
    await expect.poll(() => isStill(guest.machine), { interval: 2 }).toBe(true);
    const loaded = loadSnapshot(guest.machine, snapshot);
    expect(() => guest.machine.adopt(loaded)).toThrow(/request to the guest disk is in flight/);
    guest.machine.discardLoadTarget();
    guest.disk.recover();
    await hold;
    guest.machine.release('snapshot');
    await untilDiskWritten(guest.machine, 3);
  });
});

/** True once no vCPU runs. */
function isStill(machine: SyntheticMachine): boolean {
  return new Int32Array(machine.transferSource().vcpuControl!)[1] === 0;
}

describe('a loaded guest detects that', () => {
  /** Each test loads it again. */
  const common = shared(guestWithPast);

  /** The fault that the guest detects with its newest RAM and a changed disk. */
  function findingWith(change: (past: Past, disk: TestDisk) => void): Promise<GuestPanic> {
    const past = common();
    const disk = new TestDisk(Buffer.from(past.moments.recent.disk));
    change(past, disk);
    return findingAfter(past.guest, { ...past.moments.recent, disk: disk.bytes });
  }

  it('its disk is older than its RAM', async () => {
    const { guest, moments } = common();
    const panic = await findingAfter(guest, { ...moments.recent, disk: moments.old.disk });
    expect(panic.kind).toMatch(/^disk-(stale|lost)$/);
    expect(panic.detail).toMatch(/holds (write \d+|zeros); the ledger in RAM says write \d+$/);
  });

  it('its disk is newer than its RAM', async () => {
    const { guest, moments } = common();
    const panic = await findingAfter(guest, { ...moments.old, disk: moments.recent.disk });
    expect(panic.kind).toBe('disk-ahead');
    expect(panic.detail).toMatch(/the ledger in RAM says (write \d+|that it was never written)$/);
  });

  it('a block is one write behind', async () => {
    const { again, moments } = common();
    const panic = await findingWith((_, disk) => {
      disk.block(again).set(new TestDisk(moments.old.disk).block(again));
    });
    const [before, after] = [moments.old, moments.recent].map(({ disk }) => sequences(new TestDisk(disk))[again]);
    expect(panic).toEqual({
      kind: 'disk-stale',
      address: null,
      detail: `block ${again} of the guest disk (offset ${again * 4096}) holds write ${before}; the ledger in RAM says write ${after}`,
    });
  });

  it('the first write of a block is missing', async () => {
    const { first } = common();
    const panic = await findingWith((_, disk) => disk.block(first).fill(0));
    expect(panic.kind).toBe('disk-lost');
    expect(panic.detail).toContain(`block ${first} of the guest disk (offset ${first * 4096}) holds zeros`);
  });

  it.each<[string, string, (past: Past, disk: TestDisk) => void]>([
    [
      'half a block is of an older write',
      'disk-torn',
      ({ again, moments }, disk) => {
        disk.block(again).set(new TestDisk(moments.old.disk).block(again).subarray(0, 2048));
      },
    ],
    ['a block has other content', 'disk-corrupt', ({ again }, disk) => disk.block(again).fill(0x41)],
    [
      'two blocks were swapped',
      'disk-misplaced',
      ({ again, first }, disk) => {
        const held = Buffer.from(disk.block(again));
        disk.block(again).set(disk.block(first));
        disk.block(first).set(held);
      },
    ],
    [
      'a block has a write that never happened',
      'disk-misplaced',
      ({ again }, disk) => {
        disk.block(sequences(disk).indexOf(0)).set(disk.block(again));
      },
    ],
    ['the superblock is missing', 'disk-lost', (_, disk) => disk.block(0).fill(0)],
    ['the superblock has other content', 'disk-corrupt', (_, disk) => disk.block(0).fill(1)],
    ['every block is blank', 'disk-lost', (_, disk) => disk.bytes.fill(0)],
  ])('the content of its disk %s', async (_, kind, change) => {
    const panic = await findingWith(change);
    expect(panic).toMatchObject({ kind, address: null });
  });

  it('its disk is another valid one', async () => {
    const { guest, moments } = common();
    const other = startDiskGuest(smallDisk(), { seed: 8 });
    await untilDiskWritten(other.machine, 3);
    const { disk } = await takeAll(other);
    const panic = await findingAfter(guest, { ...moments.recent, disk });
    expect(panic.kind).toBe('disk-foreign');
    expect(panic.detail).toMatch(/holds write \d+ of disk [0-9a-f]{16}, not of disk [0-9a-f]{16}/);
  });

  it('its disk ends too early', async () => {
    const { moments } = common();
    const disk = Buffer.from(moments.recent.disk.subarray(0, 2 * DISK_BLOCK_BYTES));
    const short = startDiskGuest(new TestDisk(disk), {
      holds: ['operator'],
    });
    const panic = findingAfter(short, { ...moments.recent, disk });
    short.machine.release('operator');
    await expect(panic).resolves.toMatchObject({ kind: 'disk-lost', detail: expect.stringMatching(/the disk ends/) });
  });
});

describe('a running guest detects that', () => {
  it('its disk was reset to older content', async () => {
    const { guest, moments } = await guestWithPast();
    await expect(findingOf(guest, moments.old.disk)).resolves.toMatchObject({
      kind: expect.stringMatching(/^disk-(stale|lost)$/),
    });
  });

  testInSoak('its disk is full of other bytes', async () => {
    const { guest, moments } = await guestWithPast();
    const disk = Buffer.alloc(moments.recent.disk.length, 3);
    await expect(findingOf(guest, disk)).resolves.toMatchObject({ kind: 'disk-corrupt' });
  });
});

/** Resumes a guest with a replaced disk. */
function findingOf({ machine, disk }: DiskGuest, bytes: Buffer<ArrayBuffer>): Promise<GuestPanic> {
  disk.bytes = Buffer.from(bytes);
  const panic = nextPanic(machine);
  machine.release('snapshot');
  return panic;
}

describe('a write that was in progress when the guest was saved', () => {
  /** A state with a write to the block `pending` in progress; `before` is the disk without it. Each test loads it. */
  const savedInWrite = shared(async () => {
    const guest = startDiskGuest(smallDisk());
    await untilDiskWritten(guest.machine, 5);
    guest.disk.conduct = ({ operation }) => (operation === 'write' ? 'ignore' : 'serve');
    const { writes } = guest.disk;
    await until(() => guest.disk.writes > writes);
    const hold = guest.machine.hold('snapshot');
    await until(() => isStill(guest.machine));
    const before = guest.disk.copy();
    guest.disk.recover();
    await hold;
    const body = bodyOf(devicesOf(guest.machine).find(({ idstr }) => idstr === 'ferry-disk')!);
    expect(body.read('pending')).toBe(1);
    return { guest, saved: await takeAll(guest), before, pending: body.read('pending-block') };
  });

  it('is on the saved disk', async () => {
    const { guest, saved, before } = savedInWrite();
    expect(Buffer.compare(saved.disk, before)).not.toBe(0);
    await restoreAll(guest, saved);
    await untilDiskWritten(guest.machine, 4);
    expect(guest.machine.describe().guest?.panic).toBeNull();
  });

  it('may be missing on the saved disk', async () => {
    const { guest, saved, before } = savedInWrite();
    await restoreAll(guest, { ...saved, disk: before });
    await untilDiskWritten(guest.machine, 4);
    expect(guest.machine.describe().guest?.panic).toBeNull();
  });

  it('does not excuse damage in another block', async () => {
    const { guest, saved, pending } = savedInWrite();
    const disk = new TestDisk(Buffer.from(saved.disk));
    const other = sequences(disk).findIndex((sequence, block) => sequence > 0 && block > 0 && block !== pending);
    disk.block(other).fill(0);
    await expect(findingAfter(guest, { ...saved, disk: disk.bytes })).resolves.toMatchObject({ kind: 'disk-lost' });
  });
});

describe('a guest that moves', () => {
  it('to a machine with a blank disk formats it, and starts a new ledger', async () => {
    const source = startDiskGuest(smallDisk());
    await untilDiskWritten(source.machine, 5);
    await source.machine.hold('migration');
    const target = startDiskGuest(smallDisk(), { holds: ['incoming'] });
    moveGuest(source.machine, target.machine);
    target.machine.release('incoming');
    await untilDiskWritten(target.machine, 5);
    expect(target.machine.console()).toMatch(
      /^disk: another one than ([0-9a-f]{16})\n(tick.*\n)*disk: formatted as (?!\1)/m,
    );
    expect(target.machine.describe().guest?.panic).toBeNull();
  });

  it("to a machine with another guest's disk formats that disk, and detects at its return that its own disk is missing", async () => {
    const source = startDiskGuest(smallDisk());
    const target = startDiskGuest(smallDisk(), { seed: 5 });
    await untilDiskWritten(source.machine, 5);
    await untilDiskWritten(target.machine, 5);
    let [from, to] = [source, target];
    for (let move = 0; move < 3; move += 1) {
      await from.machine.hold('incoming');
      await to.machine.hold('incoming');
      moveGuest(from.machine, to.machine);
      to.machine.release('incoming');
      await untilDiskWritten(to.machine, 5);
      expect(to.machine.describe().guest?.panic).toBeNull();
      [from, to] = [to, from];
    }
  });

  it('together with its disk finds it valid, or reports its damage', async () => {
    const source = startDiskGuest(smallDisk());
    await untilDiskWritten(source.machine, 5);
    await source.machine.hold('migration');
    const target = startDiskGuest(new TestDisk(source.disk.copy()), { holds: ['incoming'] });
    moveGuest(source.machine, target.machine);
    target.machine.release('incoming');
    await untilDiskWritten(target.machine, 3);
    expect(target.machine.console()).not.toContain('another');
    const spoiled = source.disk.copy();
    spoiled.fill(0, DISK_BLOCK_BYTES);
    const other = startDiskGuest(new TestDisk(spoiled), { holds: ['incoming'] });
    const panic = nextPanic(other.machine);
    moveGuest(source.machine, other.machine);
    other.machine.release('incoming');
    await expect(panic).resolves.toMatchObject({ kind: 'disk-lost' });
  });

  it('through a machine without a disk recognises its disk at its return', async () => {
    const source = startDiskGuest(smallDisk());
    await untilDiskWritten(source.machine, 5);
    await source.machine.hold('incoming');
    const between = startGuest({ holds: ['incoming'] });
    moveGuest(source.machine, between);
    between.release('incoming');
    await untilTicks(between, (between.describe().guest?.ticks ?? 0) + 3);
    expect(between.describe().guest?.panic).toBeNull();
    await between.hold('operator');
    moveGuest(between, source.machine);
    source.machine.release('incoming');
    await untilDiskWritten(source.machine, 5);
    expect(source.machine.console()).not.toContain('another');
    expect(source.machine.describe().guest?.panic).toBeNull();
  });
});
