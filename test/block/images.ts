// Images in a folder of the test, and the results of qemu-img for them.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Image, NewSnapshot, OpenOptions } from '../../src/block/image.ts';
import { createImage, openImage } from '../../src/block/qcow2/open-image.ts';

export const MIB = 2 ** 20;

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vmferry-block-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Opens an image, which is closed after the test at the latest. */
export async function opened(path: string, options: OpenOptions = {}): Promise<Image> {
  const image = await openImage(path, options);
  onTestFinished(() => image.close().catch(() => {}));
  return image;
}

/** A new image, open. */
export async function newImage(options: { diskBytes?: number; clusterBits?: number } = {}): Promise<Image> {
  const path = join(temporaryFolder(), 'disk.qcow2');
  await createImage(path, { diskBytes: 16 * MIB, ...options });
  return opened(path);
}

export type Ran = { readonly status: number; readonly output: string };

export function run(program: string, ...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(program, args, { encoding: 'utf8', timeout: 20_000 }, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ status, output: `${stdout}${stderr}` });
    });
  });
}

/** Runs qemu-img. A failure contains its output. */
export async function qemuImg(...args: string[]): Promise<string> {
  const { status, output } = await run('qemu-img', ...args);
  if (status !== 0) throw new Error(`qemu-img ${args.join(' ')}: status ${status}\n${output}`);
  return output;
}

/** One qemu-io command on an image. */
export async function qemuIo(path: string, ...commands: string[]): Promise<string> {
  const { status, output } = await run('qemu-io', ...commands.flatMap((command) => ['-c', command]), path);
  if (status !== 0) throw new Error(`qemu-io ${commands.join('; ')}: status ${status}\n${output}`);
  return output;
}

/** The result of `qemu-img check`: `clean`, `leaks` or the errors. */
export async function checked(path: string): Promise<string> {
  const { status, output } = await run('qemu-img', 'check', '-U', '-f', 'qcow2', path);
  if (status === 0) return 'clean';
  return status === 3 ? 'leaks' : `status ${status}: ${output}`;
}

export function snapshotNamed(name: string, more: Partial<NewSnapshot> = {}): NewSnapshot {
  return {
    name,
    dateMs: 1_700_000_000_123.456,
    clockNs: 5_000_000_000n,
    vmStateBytes: 0,
    extra: new Uint8Array(),
    ...more,
  };
}

/** Bytes that differ from place to place and from seed to seed. */
export function pattern(bytes: number, seed: number): Buffer {
  const words = new Uint32Array(Math.floor(bytes / 4));
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let at = 0; at < words.length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[at] = state;
  }
  return Buffer.concat([Buffer.from(words.buffer), Buffer.alloc(bytes % 4, seed)]);
}

export async function readAt(image: Image, offset: number, bytes: number): Promise<Buffer> {
  const into = Buffer.alloc(bytes, 0xee);
  await image.read(offset, into);
  return into;
}
