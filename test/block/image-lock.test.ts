import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createImage, openImage } from '../../src/block/qcow2/open-image.ts';
import { checked, MIB, newImage, opened, qemuImg, run, temporaryFolder } from './images.ts';

const HOLDER = new URL('./locked-by.ts', import.meta.url).pathname;

async function imageFile(): Promise<string> {
  const path = join(temporaryFolder(), 'disk.qcow2');
  await createImage(path, { diskBytes: MIB });
  return path;
}

test('a second process is refused until the first is killed', async () => {
  const path = await imageFile();
  const holder = spawn(process.execPath, [HOLDER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  await expect(openImage(path)).rejects.toMatchObject({ code: 'image_locked' });
  await expect(openImage(path, { readOnly: true })).rejects.toMatchObject({ code: 'image_locked' });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  expect((await opened(path)).isReadOnly).toBe(false);
});

test('QEMU can read an image that is open here with a shared lock, and cannot write it', async () => {
  const image = await newImage();
  expect(await checked(image.path)).toBe('clean');
  expect(await qemuImg('snapshot', '-l', '-U', image.path)).toBe('');
  expect((await run('qemu-img', 'check', image.path)).output).toContain('lock');
  const { status, output } = await run('qemu-io', '-c', 'write 0 4k', image.path);
  expect([status, output]).toEqual([1, expect.stringContaining('lock')]);
  await image.close();
  expect((await run('qemu-io', '-c', 'write 0 4k', image.path)).status).toBe(0);
});

test('an image is reported as locked, not unsupported, after the native module was removed from the module cache', async () => {
  const image = await newImage();
  const require = createRequire(import.meta.url);
  delete require.cache[require.resolve('koffi')];
  await expect(openImage(image.path)).rejects.toMatchObject({ code: 'image_locked' });
});

test('an image that QEMU has open for writing is refused', async () => {
  const path = await imageFile();
  const qemu = spawn('qemu-io', [path], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void qemu.kill('SIGKILL'));
  qemu.stdin.write('write 0 4k\n');
  await once(qemu.stdout, 'data');
  await expect(openImage(path)).rejects.toMatchObject({ code: 'image_locked' });
  qemu.stdin.end('quit\n');
  await once(qemu, 'exit');
  expect((await opened(path)).isReadOnly).toBe(false);
});

test('a file that was renamed or removed while it was open is detected', async () => {
  const image = await newImage();
  await expect(image.assertPresent()).resolves.toBeUndefined();
  renameSync(image.path, `${image.path}.away`);
  await expect(image.assertPresent()).rejects.toMatchObject({ code: 'image_gone' });
  await createImage(image.path, { diskBytes: MIB });
  await expect(image.assertPresent()).rejects.toMatchObject({ code: 'image_gone' });
  rmSync(`${image.path}.away`);
  await expect(image.assertPresent()).rejects.toMatchObject({ code: 'image_gone' });
});

test('a closed image is not accessed through another file with its descriptor number', async () => {
  const image = await newImage();
  await image.write(0, Buffer.alloc(10, 1));
  await image.close();
  await expect(image.read(0, Buffer.alloc(10))).rejects.toMatchObject({ code: 'image_io_error' });
  await expect(image.write(0, Buffer.alloc(10))).rejects.toMatchObject({ code: 'image_io_error' });
});
