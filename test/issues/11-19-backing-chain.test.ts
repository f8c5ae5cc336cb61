// Only the image that is written was locked. The files of its backing chain were opened without locks, and a written
// file did not announce its writer to others (byte 101). A second program could therefore write a file below an open
// overlay, and could open an overlay above a written file. This was possible between vmferry and QEMU and between two
// nodes of one service. Now the same bytes are locked as by QEMU: each file of a chain that is read forbids writers,
// and each written file announces its writer.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openImage } from '../../src/block/qcow2/open-image.ts';
import { opened, qemuImg, run, temporaryFolder } from '../block/images.ts';
import { startApp, testConfig } from '../helpers/app.ts';

type ChainFiles = { readonly top: string; readonly middle: string; readonly base: string; readonly other: string };

/** `top` and `other` lie on `middle`, which lies on `base`. */
async function chainFiles(baseFormat: 'qcow2' | 'raw' = 'qcow2'): Promise<ChainFiles> {
  const folder = temporaryFolder();
  const [top, middle, base, other] = ['top', 'middle', 'base', 'other'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  await qemuImg('create', '-q', '-f', baseFormat, base, '1M');
  await qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', baseFormat, middle);
  for (const path of [top, other]) await qemuImg('create', '-q', '-f', 'qcow2', '-b', middle, '-F', 'qcow2', path);
  return { top, middle, base, other };
}

/** A QEMU that has the file open for writing until the test ends. */
async function heldByQemu(path: string, format = 'qcow2'): Promise<void> {
  const qemu: ChildProcess = spawn('qemu-io', ['-f', format, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void qemu.kill('SIGKILL'));
  qemu.stdin?.write('length\n');
  await once(qemu.stdout!, 'data');
}

async function qemuWrites(path: string, format = 'qcow2'): Promise<string> {
  return (await run('qemu-io', '-f', format, '-c', 'write 0 4k', path)).output;
}

describe.each(['qcow2', 'raw'] as const)('a %s file below an overlay', (format) => {
  test('cannot be written while the overlay is open here, and can be written after it is closed', async () => {
    const { top, middle, base } = await chainFiles(format);
    const image = await opened(top);
    expect(await qemuWrites(middle)).toContain('lock');
    expect(await qemuWrites(base, format)).toContain('lock');
    await expect(openImage(middle)).rejects.toMatchObject({ code: 'image_locked' });
    await image.close();
    expect(await qemuWrites(base, format)).toContain('wrote');
    expect(await qemuWrites(middle)).toContain('wrote');
  });

  test('prevents the overlay from being opened here while QEMU writes the file', async () => {
    const { top, base } = await chainFiles(format);
    await heldByQemu(base, format);
    await expect(openImage(top)).rejects.toMatchObject({
      code: 'image_locked',
      message: expect.stringMatching(/middle: its backing file cannot be opened: .*base: .*writes/),
    });
  });
});

test('a file that is open for writing here prevents overlays on it from being opened, here and by QEMU', async () => {
  const { top, middle, other } = await chainFiles();
  const image = await opened(middle);
  await expect(openImage(top)).rejects.toMatchObject({ code: 'image_locked' });
  await expect(openImage(top, { readOnly: true })).rejects.toMatchObject({ code: 'image_locked' });
  expect(await qemuWrites(other)).toContain('lock');
  await image.close();
  expect(await qemuWrites(other)).toContain('wrote');
});

test('an overlay that is open in QEMU prevents the files below it from being written here', async () => {
  const { top, middle, base } = await chainFiles();
  await heldByQemu(top);
  for (const path of [top, middle, base]) {
    await expect(openImage(path)).rejects.toMatchObject({ code: 'image_locked' });
  }
});

test('two overlays on one file can be open at the same time, here and in QEMU', async () => {
  const { top, other, middle } = await chainFiles();
  await opened(top);
  expect(await qemuWrites(other)).toContain('wrote');
  await opened(other);
  // A reader does not prevent other readers.
  await opened(middle, { readOnly: true });
});

test.each([
  ['the overlay first', ['top', 'base']],
  ['the base first', ['base', 'top']],
  ['a file in the middle', ['top', 'middle']],
] as const)('a service refuses two files of one chain as nodes, %s', async (_, names) => {
  const files = await chainFiles();
  const flags = names.flatMap((name) => ['--blockdev', `${name}=${files[name]}`]);
  await expect(startApp(testConfig(['--machine', 'image', ...flags]))).rejects.toMatchObject({ code: 'image_locked' });
  // Nothing of the attempt is left.
  expect(await qemuWrites(files.base)).toContain('wrote');
});
