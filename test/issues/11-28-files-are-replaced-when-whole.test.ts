// A stream to `file:NAME` truncated the existing file before it wrote the first byte. A migration that was then
// cancelled or failed had destroyed the old stream. Now the new stream is written to a draft beside the file, which
// is renamed at the end.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { deviceFiles } from '../../src/engine/channels/device-files.ts';
import { FileOutgoingChannel } from '../../src/engine/channels/file.ts';
import { FileDraft, removeStale } from '../../src/engine/channels/file-draft.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { localService } from '../helpers/guest-service.ts';
import { describeWithMounts, smallDisk } from '../helpers/snapshots/mounts.ts';

const OLD = Buffer.alloc(100_000, 'old ');
const NEW = Buffer.alloc(50_000, 'new');

/** A folder with a file below it, and the path of the file from there. */
function rooted(path = 'guest'): { root: string; path: string; file: string } {
  const root = temporaryDirectory();
  mkdirSync(join(root, 'folder'));
  writeFileSync(join(root, path), OLD);
  return { root, path, file: join(root, path) };
}

const written = (channel: FileOutgoingChannel, bytes: Buffer) =>
  new Promise<void>((done) => channel.write(bytes, done));
const filesIn = (root: string) => readdirSync(root, { recursive: true }).sort();

describe('an existing file', () => {
  test.each([
    ['guest', 0],
    ['folder/guest', 0],
    ['guest', 4096],
    ['folder/guest', 2 ** 32],
  ])('is unchanged after a stream to %s from offset %i is aborted', async (path, offset) => {
    const { root, file } = rooted(path);
    const before = filesIn(root);
    const channel = new FileOutgoingChannel(root, { path, offset });
    await written(channel, NEW);
    channel.destroy();
    const busy = new FileOutgoingChannel(root, { path, offset });
    const writing = written(busy, NEW);
    busy.destroy();
    await writing;
    await expect.poll(() => filesIn(root)).toEqual(before);
    expect(readFileSync(file).equals(OLD)).toBe(true);
  });

  test.each([0, 1, 4096, 200_000])(
    'is replaced by a complete stream, except for its first %i bytes',
    async (offset) => {
      const { root, path, file } = rooted();
      chmodSync(file, 0o640);
      const before = filesIn(root);
      const channel = new FileOutgoingChannel(root, { path, offset });
      await written(channel, NEW);
      expect(readFileSync(file).equals(OLD)).toBe(true);
      await channel.finish();
      channel.destroy();
      const head = Buffer.alloc(offset);
      OLD.copy(head);
      expect(readFileSync(file).equals(Buffer.concat([head, NEW]))).toBe(true);
      expect(statSync(file).mode & 0o777).toBe(0o640);
      expect(filesIn(root)).toEqual(before);
    },
  );

  test('is unchanged if its folder accepts no new file, or if the offset exceeds the largest file', async () => {
    const { root, path, file } = rooted();
    expect(() => new FileOutgoingChannel(root, { path, offset: 2 ** 62 })).toThrow();
    expect(() => new FileOutgoingChannel(root, { path: `folder/${'n'.repeat(300)}`, offset: 0 })).toThrow();
    expect(filesIn(root)).toEqual(['folder', 'guest']);
    expect(readFileSync(file).equals(OLD)).toBe(true);
  });

  test('keeps its holes before the offset', async () => {
    const { root, path, file } = rooted();
    truncateSync(file, 2 ** 28);
    const channel = new FileOutgoingChannel(root, { path, offset: 2 ** 28 });
    await written(channel, NEW);
    await channel.finish();
    expect(statSync(file).size).toBe(2 ** 28 + NEW.length);
    expect(statSync(file).blocks * 512).toBeLessThan(2 ** 22);
  });
});

test('the draft of a dead writer is removed by the next writer and at a start, and an active draft is kept', async () => {
  const { root, path } = rooted();
  // No process started so early.
  const dead = `.vmferry-${'0'.repeat(16)}-${process.pid}-7-00000000`;
  const own = new FileDraft(root, path, { headBytes: 0 });
  for (const folder of ['', 'folder/']) writeFileSync(join(root, `${folder}${dead}`), OLD);
  removeStale(root, '.');
  expect(readdirSync(root)).toHaveLength(3);
  expect(existsSync(join(root, 'folder', dead))).toBe(true);
  await own.keep();
  expect(readdirSync(root)).toEqual(['folder', 'guest']);
});

describeWithMounts('on a full disk', () => {
  test('a stream and a device state that do not fit leave the files that they would replace unchanged', async () => {
    const root = smallDisk(1);
    const file = join(root, 'guest');
    writeFileSync(file, OLD);
    const channel = new FileOutgoingChannel(root, { path: 'guest', offset: 0 });
    const failure = new Promise((resolve) => channel.onFailure(resolve));
    channel.write(Buffer.alloc(2 ** 20), () => {});
    expect(await failure).toMatchObject({ code: 'no_space' });
    await expect(channel.finish()).rejects.toMatchObject({ code: 'no_space' });
    channel.destroy();
    const place = { fileRoot: root, path: 'guest' };
    await expect(deviceFiles.write(place, Buffer.alloc(2 ** 20))).rejects.toMatchObject({ code: 'no_space' });
    expect(readFileSync(file).equals(OLD)).toBe(true);
    await expect.poll(() => readdirSync(root)).toEqual(['guest']);
  });
});

test('a file with a stream is unchanged after a migration to it is cancelled', async () => {
  const { root, file } = rooted();
  const source = await localService(['--file-root', root, '--set', 'max-bandwidth=1M']);
  await source.post('/migrate', { uri: 'file:guest' });
  await source.untilStatus('active');
  await source.post('/migrate/cancel');
  await source.untilStatus('cancelled');
  await expect.poll(() => filesIn(root)).toEqual(['folder', 'guest']);
  expect(readFileSync(file).equals(OLD)).toBe(true);
  await source.expectRunning();
});
