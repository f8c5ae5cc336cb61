// A save checked at its end only whether its file still had its name. The copy of an image's tables in memory stays
// valid while another program overwrites or truncates the file. The save and a later verify reported `completed`, and
// the next start found no valid image. Now header, tables and size are read back from the file, and a foreign file is
// not changed.

import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createImage } from '../../src/block/qcow2/open-image.ts';
import { newImage, pattern, snapshotNamed, temporaryFolder } from '../block/images.ts';
import { ask, startApp, testConfig } from '../helpers/app.ts';

type Edit = (path: string) => void | Promise<void>;

const overwrite =
  (at: (bytes: Buffer) => number, length = 1): Edit =>
  (path) => {
    const bytes = readFileSync(path);
    for (let index = 0; index < length; index += 1) bytes[at(bytes) + index]! ^= 0x55;
    writeFileSync(path, bytes, { flag: 'r+' });
  };
const offsetAt = (bytes: Buffer, at: number) => Number(bytes.readBigUInt64BE(at) & 0x00ff_ffff_ffff_fe00n);
const firstEntry = (bytes: Buffer) => offsetAt(bytes, 64);

const EDITS: [what: string, edit: Edit][] = [
  ['its magic', overwrite(() => 0)],
  ['the version', overwrite(() => 7)],
  ['the disk size', overwrite(() => 30)],
  ['the number of snapshots', overwrite(() => 63)],
  ['a feature bit', overwrite(() => 79)],
  ['the header extensions', overwrite(() => 300)],
  ['the whole header', overwrite(() => 0, 65_536)],
  ['the active L1 table', overwrite((bytes) => offsetAt(bytes, 40) + 5)],
  ['an active L2 table', overwrite((bytes) => offsetAt(bytes, offsetAt(bytes, 40)) + 2)],
  ['the refcount table', overwrite((bytes) => offsetAt(bytes, 48) + 4)],
  ['the snapshot table', overwrite((bytes) => firstEntry(bytes) + 5)],
  ['the L1 table of the snapshot', overwrite((bytes) => offsetAt(bytes, firstEntry(bytes)) + 2)],
  ['an L2 table of the snapshot', overwrite((bytes) => offsetAt(bytes, offsetAt(bytes, firstEntry(bytes))) + 2)],
  ['everything: it was emptied', (path) => truncateSync(path, 0)],
  ['its second half', (path) => truncateSync(path, readFileSync(path).length / 2)],
  [
    'everything: it was truncated and extended again',
    (path) => {
      truncateSync(path, 0);
      truncateSync(path, 8 * 2 ** 20);
    },
  ],
  [
    'everything: another image was copied over it',
    async (path) => {
      const other = join(temporaryFolder(), 'other.qcow2');
      await createImage(other, { diskBytes: 16 * 2 ** 20 });
      copyFileSync(other, path);
    },
  ],
];

describe('reading back', () => {
  test.each(EDITS)('a new snapshot fails if the file has lost %s', async (_what, edit) => {
    const image = await newImage();
    await image.write(0, pattern(100_000, 1));
    const { id } = await image.createSnapshot(snapshotNamed('one'));
    await image.write(200_000, pattern(100_000, 2));
    await expect(image.checkFile(id)).resolves.toBeUndefined();
    await edit(image.path);
    await expect(image.checkFile(id)).rejects.toMatchObject({
      code: expect.stringMatching(/^image_(gone|corrupt|truncated)$/),
      message: expect.stringContaining(image.path),
    });
  });
});

test('a save and a verify fail on an overwritten image and do not change it, and the guest keeps running', async () => {
  const flags = ['--machine', 'synthetic', '--ram', '16M', '--workload', 'rate=0'];
  const config = testConfig(flags);
  const { server } = await startApp(config);
  const path = config.blockDevices[0]!.path;
  const prefer = { prefer: 'wait=20' };
  const job = async (url: string, body: object) => (await ask(server, url, { body, headers: prefer })).json;
  expect((await job('/snapshots', { tag: 'sound' })).error).toBeUndefined();
  expect((await job('/snapshots/sound/verify', {})).error).toBeUndefined();
  writeFileSync(path, Buffer.alloc(4096, 0xee), { flag: 'r+' });
  const before = readFileSync(path).subarray(0, 65_536);
  const failed = { status: 'concluded', 'error-code': 'image_gone', error: expect.stringContaining(path) };
  expect(await job('/snapshots', { tag: 'lost' })).toMatchObject(failed);
  expect(await job('/snapshots/sound/verify', {})).toMatchObject(failed);
  const loaded = await ask(server, '/snapshots/sound/load', { body: {}, headers: prefer });
  expect(loaded.json).toMatchObject(failed);
  const deleted = await ask(server, '/snapshots/sound', { method: 'DELETE', headers: prefer });
  expect(deleted.json).toMatchObject(failed);
  expect(readFileSync(path).subarray(0, 65_536).equals(before)).toBe(true);
  expect((await ask(server, '/status')).json).toMatchObject({ status: 'running' });
});
