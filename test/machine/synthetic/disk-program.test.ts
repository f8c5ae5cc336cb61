import { describe, expect, it, vi } from 'vitest';
import { DISK_BLOCK_BYTES, readDiskBlock, writeDiskBlock } from '../../../src/machine/synthetic/disk-block.ts';
import { combinations, testInSoak } from '../../helpers/combinations.ts';
import { TestDisk } from '../../helpers/guest-disk.ts';
import { figuresOf, startDiskGuest, untilDiskChecked, untilDiskWritten } from '../disk-bench.ts';
import {
  clearDirtyLog,
  copyRam,
  isDirty,
  loadSnapshot,
  nextPanic,
  pageOf,
  startGuest,
  takeSnapshot,
  until,
  untilTicks,
} from '../guest-bench.ts';

/** Page of RAM, in a guest of 8 MiB, that holds the disk's ledger. */
const LEDGER_PAGE = 5;
const IDENTITY = 0x1234_5678_9abc_def0n;
const [ROUNDS = 0] = combinations<readonly number[]>([8], [3]);

/** Few blocks, which are soon formatted and checked. */
function smallDisk(): TestDisk {
  return new TestDisk(Buffer.alloc(32 * DISK_BLOCK_BYTES));
}
const SMALL_BYTES = 32 * DISK_BLOCK_BYTES;

/** The sequence numbers of the blocks of the disk; 0 for zeros. */
function sequencesOn(disk: TestDisk): number[] {
  return Array.from({ length: disk.bytes.length / DISK_BLOCK_BYTES }, (_, block) => {
    const content = readDiskBlock(disk.block(block));
    if (content.kind === 'zero') return 0;
    if (content.kind !== 'whole' || content.block !== block) throw new Error(`block ${block} is ${content.kind}`);
    return content.sequence;
  });
}

function sequencesInRam(machine: Parameters<typeof pageOf>[0]): number[] {
  const page = pageOf(machine, LEDGER_PAGE);
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  return Array.from({ length: 512 }, (_, block) => Number(view.getBigUint64(block * 8, true)));
}

/** A disk of an earlier guest, with some written blocks. */
async function usedDisk(): Promise<TestDisk> {
  if (left === null) {
    const { machine, disk } = startDiskGuest();
    await untilDiskWritten(machine, 12);
    await machine.hold('operator');
    left = disk.copy();
  }
  return new TestDisk(Buffer.from(left));
}

/** Created once for all tests. */
let left: Buffer<ArrayBuffer> | null = null;

describe('a guest with a disk', () => {
  it('formats a blank one, writes it while it runs, and keeps a ledger of it in RAM', async () => {
    const { machine, disk } = startDiskGuest();
    await untilDiskWritten(machine, 80);
    await machine.hold('operator');
    const onDisk = sequencesOn(disk);
    expect(sequencesInRam(machine)).toEqual(onDisk);
    expect(onDisk.filter((sequence) => sequence > 0).length).toBeGreaterThan(40);
    expect(disk.requests.map(({ operation }) => operation)).toContain('flush');
    expect(machine.console()).toMatch(/^disk: formatted as [0-9a-f]{16}$/m);
    const { writes, checks } = figuresOf(machine);
    expect(writes).toBe(disk.writes);
    expect(checks).toBeGreaterThanOrEqual(512 + writes - 3);
    expect(machine.describe().guest?.panic).toBeNull();
  });

  it('does not use it while it is idle, except for the check at the start', async () => {
    const { machine, disk } = startDiskGuest(new TestDisk(), { workload: { rate: 0 } });
    await untilDiskChecked(machine);
    const requests = disk.requests.length;
    await untilTicks(machine, (machine.describe().guest?.ticks ?? 0) + 3);
    expect(disk.requests.length).toBe(requests);
    expect(disk.writes).toBe(1);
    machine.setWorkload({ rate: 2 ** 20 });
    await untilDiskWritten(machine, 5);
  });

  it('changes neither RAM nor disk after a hold has resolved', async () => {
    const { machine, disk } = startDiskGuest(smallDisk());
    const other = startGuest({ workload: { rate: 0 } });
    for (let round = 0; round < ROUNDS; round += 1) {
      await untilDiskWritten(machine, 2);
      await machine.hold('operator');
      const [before, requests] = [disk.copy(), disk.requests.length];
      await untilTicks(other, (other.describe().guest?.ticks ?? 0) + 1);
      expect(Buffer.compare(disk.bytes, before)).toBe(0);
      expect(disk.requests.length).toBe(requests);
      machine.release('operator');
    }
  });

  it("marks the ledger's page in the dirty log at each write", async () => {
    const { machine } = startDiskGuest(smallDisk());
    await untilDiskWritten(machine, 2);
    for (let round = 0; round < ROUNDS; round += 1) {
      await machine.hold('operator');
      clearDirtyLog(machine);
      const before = sequencesInRam(machine);
      machine.release('operator');
      await untilDiskWritten(machine, 1);
      await machine.hold('operator');
      expect(sequencesInRam(machine)).not.toEqual(before);
      expect(isDirty(machine, LEDGER_PAGE)).toBe(true);
      machine.release('operator');
    }
  });

  it('uses only the blocks of the disk', async () => {
    const { machine, disk } = startDiskGuest(new TestDisk(Buffer.alloc(3 * DISK_BLOCK_BYTES + 100)));
    await untilDiskWritten(machine, 10);
    await machine.hold('operator');
    expect(
      sequencesInRam(machine)
        .slice(3)
        .every((sequence) => sequence === 0),
    ).toBe(true);
    expect(disk.bytes.subarray(3 * DISK_BLOCK_BYTES).every((byte) => byte === 0)).toBe(true);
    expect(() => startGuest({ disk: { bytes: 8191 } })).toThrow(/8191 bytes; at least 8192 are needed/);
  });

  it('detects a wrong ledger in RAM, with and without a disk', async () => {
    // A disk with few blocks: its use never touches the wrong word, and must not hide the fault.
    const disk = new TestDisk(Buffer.alloc(8 * DISK_BLOCK_BYTES));
    const { machine } = startDiskGuest(disk, { workload: { check: 0 } });
    await untilDiskWritten(machine, 3);
    await machine.hold('operator');
    pageOf(machine, LEDGER_PAGE)[400 * 8 + 1]! ^= 1;
    machine.release('operator');
    await untilDiskWritten(machine, 3);
    await machine.hold('operator');
    const panic = nextPanic(machine);
    machine.adopt(loadSnapshot(machine, takeSnapshot(machine)));
    machine.release('operator');
    await expect(panic).resolves.toMatchObject({ kind: 'corrupt', address: LEDGER_PAGE * 4096 });
    const without = startGuest({ workload: { check: 2 ** 28 } });
    await untilTicks(without, 1);
    await without.hold('operator');
    pageOf(without, LEDGER_PAGE)[7] = 1;
    const found = nextPanic(without);
    without.release('operator');
    await expect(found).resolves.toMatchObject({ kind: 'corrupt', address: LEDGER_PAGE * 4096 });
  });

  it('has no disk by default', async () => {
    const machine = startGuest();
    await untilTicks(machine, 2);
    expect(machine.diskAttachment()).toBeNull();
    expect(machine.describe().guest?.disk).toBeNull();
    expect(copyRam(machine)[LEDGER_PAGE]!.every((byte) => byte === 0)).toBe(true);
  });
});

describe('a disk with the data of an earlier guest', () => {
  it('is checked completely at the start, and used', async () => {
    const disk = await usedDisk();
    const before = sequencesOn(disk);
    const { machine } = startDiskGuest(disk, { seed: 99, workload: { rate: 0 } });
    await untilDiskChecked(machine);
    expect(machine.console()).toMatch(/^disk: start 2 with [0-9a-f]{16}$/m);
    expect(sequencesInRam(machine).slice(1)).toEqual(before.slice(1));
    expect(disk.requests.filter(({ operation }) => operation === 'read')).toHaveLength(32);
    machine.setWorkload({ rate: 2 ** 20 });
    await untilDiskWritten(machine, 4);
    expect(machine.describe().guest?.panic).toBeNull();
  });

  const written = (disk: TestDisk): number =>
    sequencesOn(disk).findIndex((sequence, block) => block > 0 && sequence > 0);

  const damages: readonly (readonly [string, (disk: TestDisk) => void, string])[] = [
    ['a block with a changed byte', (disk) => flip(disk, written(disk), 999), 'disk-torn'],
    ['none of the flushed writes', (disk) => loseWrites(disk), 'disk-lost'],
    ['a block in the wrong place', (disk) => disk.block(511).set(disk.block(written(disk))), 'disk-misplaced'],
    ['a superblock with a changed byte', (disk) => flip(disk, 0, 40), 'disk-torn'],
    ['a block with a changed header', (disk) => flip(disk, written(disk), 17), 'disk-torn'],
    ['a block with other content', (disk) => void disk.block(written(disk)).fill(7), 'disk-corrupt'],
    ['a block of another disk', (disk) => foreignBlock(disk, 300), 'disk-foreign'],
    ['no superblock', (disk) => void disk.block(0).fill(0), 'disk-lost'],
    ['other content in place of the superblock', (disk) => void disk.block(0).fill(9), 'disk-corrupt'],
  ];

  it.each(combinations(damages, damages.slice(0, 3)))('is not used with %s', async (_, damage, kind) => {
    const disk = await usedDisk();
    damage(disk);
    const before = disk.copy();
    const { machine } = startDiskGuest(disk);
    await expect(nextPanic(machine)).resolves.toMatchObject({ kind, address: null });
    expect(Buffer.compare(disk.bytes, before)).toBe(0);
  });

  it('is not changed if it contains foreign data', async () => {
    const disk = new TestDisk();
    disk.bytes.write('a file system of somebody', 100_000);
    const before = disk.copy();
    const { machine } = startDiskGuest(disk);
    await until(() => machine.console().includes('disk: holds other data, which is left alone\n'));
    await untilTicks(machine, (machine.describe().guest?.ticks ?? 0) + 2);
    expect(Buffer.compare(disk.bytes, before)).toBe(0);
    expect(machine.describe().guest).toMatchObject({ panic: null, disk: { writes: 0, isChecked: false } });
  });

  it('is formatted again if a crash interrupted the formatting', async () => {
    const disk = await usedDisk();
    const start = { boots: 1, isFormatting: true, highest: 0 };
    writeDiskBlock(disk.block(0), { block: 0, sequence: 1, identity: IDENTITY }, start);
    const { machine } = startDiskGuest(disk, { workload: { rate: 0 } });
    await untilDiskChecked(machine);
    expect(
      sequencesOn(disk)
        .slice(1)
        .every((sequence) => sequence === 0),
    ).toBe(true);
    expect(machine.console()).toContain('disk: formatted as');
  });
});

function flip(disk: TestDisk, block: number, offset: number): void {
  disk.block(block)[offset]! ^= 1;
}

function foreignBlock(disk: TestDisk, block: number): void {
  writeDiskBlock(disk.block(block), { block, sequence: 3, identity: IDENTITY }, null);
}

/** The superblock has a flushed sequence above the existing one. */
function loseWrites(disk: TestDisk): void {
  const content = readDiskBlock(disk.block(0));
  if (content.kind !== 'whole') throw new Error('the disk has no superblock');
  writeDiskBlock(disk.block(0), { ...content, sequence: 10_000 }, { ...content, highest: 9999 });
}

describe('a failing disk', () => {
  it('stops the guest with the reason', async () => {
    const { machine, disk } = startDiskGuest(smallDisk());
    await untilDiskWritten(machine, 3);
    disk.conduct = ({ operation }) => (operation === 'write' ? { fail: 'no space left on device' } : 'serve');
    const panic = await nextPanic(machine);
    expect(panic).toEqual({
      kind: 'disk-failed',
      address: null,
      detail: 'a request to the guest disk failed: no space left on device',
    });
  });

  it('without space gets the request again until there is space, and the guest can be stopped meanwhile', async () => {
    const { machine, disk } = startDiskGuest(smallDisk());
    await untilDiskWritten(machine, 3);
    let refused = 0;
    disk.conduct = ({ operation }) => {
      if (operation !== 'write') return 'serve';
      refused += 1;
      return 'refuse';
    };
    await vi.waitFor(() => expect(refused).toBeGreaterThan(3), { timeout: 20_000 });
    await machine.hold('snapshot');
    const before = refused;
    machine.release('snapshot');
    await vi.waitFor(() => expect(refused).toBeGreaterThan(before), { timeout: 20_000 });
    disk.recover();
    await untilDiskWritten(machine, 3);
    expect(machine.describe().guest?.panic).toBeNull();
  });

  testInSoak('that is full for too long stops the guest', async () => {
    const { machine, disk } = startDiskGuest(smallDisk(), { disk: { bytes: SMALL_BYTES, answerMsMax: 300 } });
    await untilDiskWritten(machine, 3);
    disk.conduct = () => 'refuse';
    expect((await nextPanic(machine)).kind).toBe('disk-failed');
  });

  it('that never answers stops a running guest', async () => {
    const { machine, disk } = startDiskGuest(smallDisk(), { disk: { bytes: SMALL_BYTES, answerMsMax: 300 } });
    await untilDiskWritten(machine, 3);
    disk.conduct = () => 'ignore';
    const panic = await nextPanic(machine);
    expect(panic.kind).toBe('disk-failed');
    expect(panic.detail).toMatch(/^the guest disk has not answered for \d+ ms$/);
  });

  it('that answers late delays a hold of the guest', async () => {
    const { machine, disk } = startDiskGuest(smallDisk());
    await untilDiskWritten(machine, 3);
    disk.conduct = () => 'ignore';
    await untilRequest(disk);
    let isHeld = false;
    const hold = machine.hold('snapshot').then(() => {
      isHeld = true;
    });
    const other = startGuest();
    await untilTicks(other, 2);
    expect(isHeld).toBe(false);
    disk.recover();
    await hold;
    machine.release('snapshot');
    await untilDiskWritten(machine, 3);
  });

  it('that never answers fails a hold, and the guest continues', async () => {
    const { machine, disk } = startDiskGuest(smallDisk(), { disk: { bytes: SMALL_BYTES, answerMsMax: 500 } });
    await untilDiskWritten(machine, 3);
    disk.conduct = () => 'ignore';
    await untilRequest(disk);
    await expect(machine.hold('snapshot')).rejects.toThrow(/cannot be stopped: its disk has not answered for \d+ ms/);
    expect(machine.isHeldFor('snapshot')).toBe(false);
    disk.recover();
    await untilDiskWritten(machine, 3);
    expect(machine.describe().guest?.panic).toBeNull();
  });

  it('does not delay a hold that was released', async () => {
    const { machine, disk } = startDiskGuest(smallDisk());
    await untilDiskWritten(machine, 3);
    disk.conduct = () => 'ignore';
    await untilRequest(disk);
    const hold = machine.hold('operator');
    machine.release('operator');
    await hold;
    disk.recover();
    await untilDiskWritten(machine, 3);
  });
});

/** Resolves when the disk has an unanswered request. */
async function untilRequest(disk: TestDisk): Promise<void> {
  const requests = disk.requests.length;
  await expect.poll(() => disk.requests.length, { timeout: 20_000, interval: 2 }).toBeGreaterThan(requests);
}
