// Streams are written to files and read from files. Files outside of the file root stay unchanged.
// QEMU scenarios: /migration/precopy/file, /migration/precopy/file/offset, /migration/precopy/file/offset/bad

import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { combinations } from '../helpers/combinations.ts';
import { faultOfAnswer } from '../helpers/fuzzed-app.ts';
import { localService } from '../helpers/guest-service.ts';
import { shared } from '../helpers/shared.ts';
import { describeWithMounts, smallDisk } from '../helpers/snapshots/mounts.ts';

const SECRET = 'not to be touched';

/** A folder with paths that seem to lead out of it, and a service that migrates its guest to files there. */
const rooted = shared(async () => {
  const root = join(temporaryDirectory(), 'files');
  mkdirSync(root);
  return { root, ...makeTraps(root), source: await localService(['--file-root', root]) };
});

/** Expects that the guest continues from the stream at `uri`. */
async function expectRestored(root: string, uri: string, ticks: readonly number[]): Promise<void> {
  const target = await localService(['--file-root', root, '--incoming', uri]);
  await target.untilStatus('completed');
  await target.expectRunning();
  const now = await target.consoleTicks();
  expect(now.slice(0, ticks.length)).toEqual(ticks);
  expect(now).toEqual(now.map((_, index) => index + 1));
}

/** A file outside the root, and paths that seem to lead to it. */
function makeTraps(root: string): { outside: string; uris: Readonly<Record<string, string>> } {
  const outside = join(root, '..', 'outside');
  writeFileSync(outside, SECRET);
  mkdirSync(join(root, 'folder'));
  symlinkSync(outside, join(root, 'link'));
  symlinkSync(join(root, '..'), join(root, 'linked-folder'));
  symlinkSync('/dev/null', join(root, 'device'));
  symlinkSync(join(root, '..', 'new'), join(root, 'dangling'));
  linkSync(outside, join(root, 'hard-link'));
  execFileSync('mkfifo', [join(root, 'fifo')]);
  const uris = {
    'two dots': 'file:../outside',
    'two dots further in': 'file:folder/../../outside',
    'an absolute path outside': `file:${outside}`,
    'a link': 'file:link',
    'a link to a folder': 'file:linked-folder/outside',
    'a link to a device': 'file:device',
    'a link to nothing': 'file:dangling',
    'a hard link': 'file:hard-link',
    'a FIFO': 'file:fifo',
    'a folder': 'file:folder',
    'no such folder': 'file:nowhere/guest',
    'a process': 'file:/proc/self/mem',
  };
  return { outside, uris };
}

describe('a path out of the file root', () => {
  test('is refused for writing, the guest keeps running and no file outside is changed', async () => {
    const { root, outside, uris, source } = rooted();
    for (const [name, uri] of Object.entries(uris)) {
      const reply = await source.call('/migrate', { body: { uri }, headers: { prefer: 'wait=20' } });
      const isRefused = reply.status >= 400 || reply.json.status === 'failed';
      expect(isRefused, `${name}: ${reply.text}`).toBe(true);
      expect(readFileSync(outside, 'utf8'), name).toBe(SECRET);
    }
    expect(existsSync(join(root, '..', 'new'))).toBe(false);
    expect(existsSync(join(root, 'nowhere'))).toBe(false);
    await source.expectRunning();
  });

  test('cannot be opened by an offset that is no number of bytes', async () => {
    const { root, source } = rooted();
    for (const offset of ['-1', '1.5', '0x', '1e3', '99999999999999999999', '']) {
      const reply = await source.call('/migrate', { body: { uri: `file:guest,offset=${offset}` } });
      expect([reply.status, reply.json.code], `offset '${offset}'`).toEqual([422, 'invalid_address']);
    }
    expect(existsSync(join(root, 'guest'))).toBe(false);
  });
});

/** Each test continues with the files of the previous test. */
describe('a file', () => {
  test('stores a guest and returns it', async () => {
    const { root, source } = rooted();
    await expect.poll(async () => (await source.guest()).ticks).toBeGreaterThan(1);
    expect(await source.migrate('file:guest')).toMatchObject({ status: 'completed', guest: 'there' });
    expect(await source.runState()).toBe('postmigrate');
    await expectRestored(root, 'file:guest', await source.consoleTicks());
  });

  test('is written and read from an offset on', async () => {
    const [text, offset] = ['0x1000', 4096] as const;
    const { root, source } = rooted();
    await source.post('/cont');
    writeFileSync(join(root, 'behind'), 'h'.repeat(100));
    expect(await source.migrate(`file:behind,offset=${text}`)).toMatchObject({ status: 'completed' });
    const bytes = readFileSync(join(root, 'behind'));
    expect(bytes.subarray(0, 100).toString()).toBe('h'.repeat(100));
    expect(bytes.subarray(100, offset).every((byte) => byte === 0)).toBe(true);
    expect(bytes.subarray(offset, offset + 4).toString()).toBe('QEVM');
    await expectRestored(root, `file:behind,offset=${text}`, await source.consoleTicks());
  });

  test('is refused outside the root, before the offset, or with half a stream, and a valid file is accepted after that', async () => {
    const { root, uris } = rooted();
    const target = await localService(['--file-root', root, '--incoming', 'defer']);
    const refused = Object.entries({ ...uris, 'no such file': 'file:none' });
    const sample = ['two dots', 'a link', 'a FIFO', 'no such file'];
    for (const [name, uri] of combinations(
      refused,
      refused.filter(([name]) => sample.includes(name)),
    )) {
      const reply = await target.call('/migrate/incoming', { body: { uri }, headers: { prefer: 'wait=20' } });
      expect(reply.status >= 400 || reply.json.status === 'failed', `${name}: ${reply.text}`).toBe(true);
      expect(reply.text, name).not.toContain(SECRET);
      expect(faultOfAnswer('migrateIncoming', reply), name).toBeNull();
    }
    expect(await target.runState()).toBe('inmigrate');
    const whole = readFileSync(join(root, 'guest'));
    writeFileSync(join(root, 'half'), whole.subarray(0, whole.length / 2));
    const short = await target.call('/migrate/incoming', { body: { uri: 'file:half,offset=1G' } });
    expect([short.status, short.json.detail]).toEqual([expect.any(Number), expect.stringContaining('1073741824')]);
    expect(short.status).toBeGreaterThanOrEqual(400);
    await target.post('/migrate/incoming', { uri: 'file:half' });
    expect(await target.ended()).toMatchObject({ status: 'failed', guest: 'there' });
    expect(await target.runState()).toBe('inmigrate');
    await target.post('/migrate/incoming', { uri: `file:${join(root, 'guest')}` });
    await target.untilStatus('completed');
    await target.expectRunning();
  });
});

describeWithMounts('a full disk', () => {
  test('fails the migration with no_space, and the guest keeps running', async () => {
    const root = smallDisk(1);
    const fill = ['--workload', 'rate=1M,span=1M,pattern=hot,fill=random'];
    const source = await localService(['--file-root', root, ...fill]);
    expect(await source.migrate('file:guest')).toMatchObject({
      status: 'failed',
      guest: 'here',
      error: { code: 'no_space' },
    });
    expect(existsSync(join(root, 'guest'))).toBe(false);
    await source.expectRunning();
  });
});
