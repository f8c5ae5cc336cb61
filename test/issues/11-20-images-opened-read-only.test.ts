// The reader of the snapshot table failed at the first entry that a check of QEMU reports, and any refused image
// prevented the start of the service. A snapshot table therefore made its disk and all other disks unusable. Header
// extensions were read until fewer than eight bytes were left, and the rest was ignored. A protocol was searched for
// in the name of a backing file after "file:" had been removed.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { beforeAll, describe, expect, test } from 'vitest';
import { openImage } from '../../src/block/qcow2/open-image.ts';
import { checked, opened, qemuImg, qemuIo, readAt, snapshotNamed, temporaryFolder } from '../block/images.ts';
import { ask, startApp, testConfig } from '../helpers/app.ts';

const MIB = 2 ** 20;
const made = new Map<string, Buffer>();

/** An image of QEMU with the snapshots one (all 1) and two (all 2) and 3 on its disk; the last MiB was never written. */
async function image(options: readonly string[] = []): Promise<string> {
  const path = join(temporaryFolder(), 'disk.qcow2');
  let bytes = made.get(options.join());
  if (bytes === undefined) {
    await qemuImg('create', '-q', '-f', 'qcow2', ...options, path, '4M');
    for (const [value, tag] of [
      ['1', 'one'],
      ['2', 'two'],
      ['3', ''],
    ] as const) {
      await qemuIo(path, `write -P ${value} 0 1M`);
      if (tag !== '') await qemuImg('snapshot', '-c', tag, path);
    }
    bytes = readFileSync(path);
    made.set(options.join(), bytes);
  }
  writeFileSync(path, bytes);
  return path;
}

function edit(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
}

/** The offsets of the entries of the snapshot table. */
function entriesOf(bytes: Buffer): number[] {
  const entries: number[] = [];
  let at = Number(bytes.readBigUInt64BE(64));
  for (let left = bytes.readUInt32BE(60); left > 0; left -= 1) {
    entries.push(at);
    const length = 40 + bytes.readUInt32BE(at + 36) + bytes.readUInt16BE(at + 12) + bytes.readUInt16BE(at + 14);
    at = Math.ceil((at + length) / 8) * 8;
  }
  return entries;
}

/** Limits the extra data of each entry to this number of bytes. */
function shortenExtra(bytes: Buffer, extraBytes: number): void {
  const parts = entriesOf(bytes).map((at) => {
    const old = bytes.readUInt32BE(at + 36);
    const names = bytes.readUInt16BE(at + 12) + bytes.readUInt16BE(at + 14);
    const extra = bytes.subarray(at + 40, at + 40 + Math.min(old, extraBytes));
    const entry = Buffer.concat([
      bytes.subarray(at, at + 40),
      extra,
      bytes.subarray(at + 40 + old, at + 40 + old + names),
    ]);
    entry.writeUInt32BE(extra.length, 36);
    return Buffer.concat([entry, Buffer.alloc((8 - (entry.length % 8)) % 8)]);
  });
  const table = Buffer.concat(parts);
  const at = Number(bytes.readBigUInt64BE(64));
  bytes.fill(0, at, at + 4096);
  table.copy(bytes, at);
}

describe('an image with a fault that only checks report is opened for writing', () => {
  test.each([0, 7, 15])('if an entry of the snapshot table has %i bytes of extra data', async (extraBytes) => {
    const path = await image();
    edit(path, (bytes) => shortenExtra(bytes, extraBytes));
    const disk = await opened(path);
    expect(disk.isReadOnly).toBe(false);
    expect(disk.snapshots.map(({ name, diskBytes }) => [name, diskBytes])).toEqual([
      ['one', 4 * MIB],
      ['two', 4 * MIB],
    ]);
    const turned = await disk.prepareApply('1');
    await turned.commit();
    await turned.release();
    expect((await readAt(disk, 0, 512)).every((byte) => byte === 1)).toBe(true);
    await disk.createSnapshot(snapshotNamed('three'));
    await disk.close();
    // The table was rewritten, and has the missing data now.
    expect(await checked(path)).toBe('clean');
  });

  test('if two snapshots have one id, and each of them can be read, loaded and deleted', async () => {
    const path = await image();
    edit(path, (bytes) => {
      for (const at of entriesOf(bytes)) bytes.write('1', at + 40 + 24);
    });
    const disk = await opened(path);
    expect(disk.snapshots.map(({ id, name }) => [id, name])).toEqual([
      ['1', 'one'],
      ['1#2', 'two'],
    ]);
    const into = Buffer.alloc(512);
    await (await disk.openSnapshot('1#2')).readDisk(0, into);
    expect(into.every((byte) => byte === 2)).toBe(true);
    await disk.deleteSnapshot('1#2');
    await disk.close();
    expect(await qemuImg('snapshot', '-l', path)).toMatch(/^1\s+one/m);
    expect(await checked(path)).toBe('clean');
  });
});

describe('an image is opened read-only with a reason, and its file is not changed', () => {
  const entry = (bytes: Buffer, index: number) => entriesOf(bytes)[index]!;
  const CASES: [what: string, tags: string[], why: RegExp, change: (bytes: Buffer) => void][] = [
    ['marked as corrupt', ['one', 'two'], /corrupt .*qemu-img check -r all/, (b) => (b[79]! |= 2)],
    [
      'with an unaligned L1 table of a snapshot',
      ['two'],
      /entry 0 .*not on a cluster/,
      (b) => (b[entry(b, 0) + 7] = 8),
    ],
    ['with an L1 table of a snapshot beyond the end', ['one', 'two'], /ends at/, (b) => (b[entry(b, 1) + 2] = 1)],
    [
      'with a snapshot with too many L1 entries',
      ['one'],
      /L1 entries/,
      (b) => b.writeUInt32BE(0xffff_ffff, entry(b, 1) + 8),
    ],
    ['with a snapshot whose disk has 2^63 bytes', ['one'], /entry 1/, (b) => (b[entry(b, 1) + 48] = 0x80)],
    [
      'with 1025 bytes of extra data',
      ['one'],
      /1025 bytes of extra data/,
      (b) => b.writeUInt32BE(1025, entry(b, 1) + 36),
    ],
    ['with more snapshots than its table has', ['one', 'two'], /entry 2 .*no L1 table/, (b) => b.writeUInt32BE(40, 60)],
    ['with too many snapshots', [], /65537 snapshots/, (b) => b.writeUInt32BE(65_537, 60)],
    ['with its snapshot table beyond the end', [], /snapshot table/, (b) => (b[66] = 1)],
    ['with an unaligned snapshot table', [], /snapshot table/, (b) => (b[71] = 8)],
    [
      'with its snapshot table full of noise',
      [],
      /snapshot table/,
      (b) => b.fill(0xee, entry(b, 0), entry(b, 0) + 4096),
    ],
    [
      'with noise in an L1 table of a snapshot',
      ['one', 'two'],
      /L1 table/,
      (b) => b.fill(0xee, Number(b.readBigUInt64BE(entry(b, 0))), Number(b.readBigUInt64BE(entry(b, 0))) + 8),
    ],
  ];

  test.each(CASES)('if it is an image %s', async (_what, tags, why, change) => {
    const path = await image();
    edit(path, change);
    const before = readFileSync(path);
    const disk = await opened(path);
    expect(disk.isReadOnly).toBe(true);
    expect(disk.readOnlyReason).toMatch(why);
    expect(disk.snapshots.map(({ name }) => name).slice(0, tags.length)).toEqual(tags);
    expect((await readAt(disk, 0, 512)).every((byte) => byte === 3)).toBe(true);
    await expect(disk.write(0, Buffer.alloc(512))).rejects.toMatchObject({
      code: 'image_read_only',
      message: expect.stringMatching(why),
    });
    await disk.close();
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('if it has version 2, and the refusal of a write names the version and qemu-img amend', async () => {
    const path = await image(['-o', 'compat=0.10']);
    const config = testConfig(['--machine', 'image', '--blockdev', `old=${path}`]);
    const { server } = await startApp(config);
    const refused = await ask(server, '/snapshots', { body: { tag: 'now' } });
    expect(refused).toMatchObject({
      status: 409,
      json: { code: 'node_read_only', detail: expect.stringMatching(/version 2.*qemu-img amend/) },
    });
  });
});

test('an image with damaged tables of the disk itself is refused', async () => {
  const path = await image();
  edit(path, (bytes) => bytes.writeBigUInt64BE(0x200n, Number(bytes.readBigUInt64BE(40))));
  await expect(openImage(path)).rejects.toMatchObject({ code: expect.stringMatching(/^image_/) });
});

test('a service with one damaged snapshot table starts, and saves on its other disks', async () => {
  const [rotted, sound] = [await image(), await image()];
  edit(rotted, (bytes) => bytes.fill(0xee, entriesOf(bytes)[0], entriesOf(bytes)[0]! + 4096));
  const before = readFileSync(rotted);
  const lines: string[] = [];
  const logStream = new Writable({
    write: (line, _encoding, done) => {
      lines.push(String(line));
      done();
    },
  });
  const config = {
    ...testConfig(['--blockdev', `a=${rotted}`, '--blockdev', `b=${sound}`, '--ram', '16M', '--workload', 'rate=0']),
    logLevel: 'warn' as const,
  };
  const { server } = await startApp(config, { logStream });
  expect(lines.join('')).toMatch(/'a' is open read-only: .*snapshot table/);
  expect((await ask(server, '/snapshots')).json.snapshots).toHaveLength(2);
  const named = await ask(server, '/snapshots', { body: { tag: 'now', devices: ['a', 'b'] } });
  expect(named.json).toMatchObject({ code: 'node_read_only', detail: expect.stringMatching(/'a'.*snapshot table/) });
  const saved = await ask(server, '/snapshots', { body: { tag: 'now' }, headers: { prefer: 'wait=20' } });
  expect(saved.json).toMatchObject({ status: 'concluded' });
  expect(saved.json.error).toBeUndefined();
  expect(readFileSync(rotted).equals(before)).toBe(true);
});

// QEMU 10.0.2 was asked about each of these.
describe('header extensions end where QEMU lets them end', () => {
  type Extension = readonly [type: number, bytes: number];
  const CASES: [what: string, ok: boolean, extensions: readonly Extension[], backingAt?: number][] = [
    ['one that fills the cluster', true, [[0x1234_5678, 65_536 - 120]]],
    ['one that is a byte longer', false, [[0x1234_5678, 65_536 - 119]]],
    ['one longer than the cluster', false, [[0x1234_5678, 70_000]]],
    ['one of 2^32 - 8 bytes', false, [[0x1234_5678, 0xffff_fff8]]],
    ['an end mark with a length that reaches beyond it', false, [[0, 100_000]]],
    ['an end mark with a length', true, [[0, 500]]],
    [
      'the second of two',
      false,
      [
        [0x1234_5678, 100],
        [0x6803_f857, 65_536],
      ],
    ],
    ['the name of a format of 16 bytes', false, [[0xe279_2aca, 16]]],
    ['a bitmaps extension of 16 bytes', false, [[0x2385_2875, 16]]],
    ['one of encryption without encryption', false, [[0x0537_be77, 16]]],
    ['one that reaches into the backing name', false, [[0x1234_5678, 16]], 128],
    ['one that ends at the backing name', true, [[0x1234_5678, 8]], 128],
    ['none, with four bytes before the backing name', false, [], 116],
  ];

  test.each(CASES)(
    'header extensions are accepted or refused as by QEMU: %s',
    async (_what, ok, extensions, backingAt) => {
      const path = await image();
      writeFileSync(join(path, '..', 'b'), Buffer.alloc(4 * MIB));
      edit(path, (bytes) => {
        bytes.fill(0, 112, 65_536);
        let at = 112;
        for (const [type, length] of extensions) {
          bytes.writeUInt32BE(type, at);
          bytes.writeUInt32BE(length, at + 4);
          at += 8 + Math.ceil(length / 8) * 8;
        }
        if (backingAt === undefined) return;
        bytes.writeBigUInt64BE(BigInt(backingAt), 8);
        bytes.writeUInt32BE(1, 16);
        bytes.write('b', backingAt);
      });
      const before = readFileSync(path);
      if (ok) await opened(path);
      else
        await expect(openImage(path)).rejects.toMatchObject({
          code: 'image_corrupt',
          message: expect.stringContaining('extension'),
        });
      if (!ok) expect(readFileSync(path).equals(before)).toBe(true);
    },
  );
});

describe('a protocol in the name of a backing file', () => {
  let top: Buffer;
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vmferry-'));
    const path = join(folder, 'top.qcow2');
    await qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', 'a name that has enough room', '-F', 'raw', path, '1M');
    top = readFileSync(path);
    rmSync(folder, { recursive: true });
  });

  test.each([
    ['file:top:base.raw', 'top:base.raw', true],
    ['file:9:30.raw', '9:30.raw', true],
    ['./9:30.raw', '9:30.raw', true],
    ['9:30.raw', '9:30.raw', false],
    ['FILE:base.raw', 'base.raw', false],
    [':base.raw', ':base.raw', false],
    ['nbd://host/export', 'export', false],
    ['file:base.raw', 'base.raw', true],
  ])('the backing file %s is opened or refused as by QEMU', async (name, file, ok) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, file), Buffer.alloc(MIB, 7));
    const path = join(folder, 'top.qcow2');
    writeFileSync(path, top);
    edit(path, (bytes) => {
      bytes.writeUInt32BE(name.length, 16);
      bytes.write(name, Number(bytes.readBigUInt64BE(8)));
    });
    if (!ok) await expect(openImage(path)).rejects.toMatchObject({ code: 'image_unsupported' });
    else expect((await readAt(await opened(path), 0, 512)).every((byte) => byte === 7)).toBe(true);
  });
});
