// Checks that an image sends the machine that it received: only the order of the pages may differ.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { blockBytes, imagePlan, read } from '../engine/stream/reading.ts';
import { temporaryDirectory } from './app.ts';
import { readStreamFixture } from './qemu/fixtures.ts';
import { startService } from './service.ts';

/** An image as text, so that a difference shows quickly. */
function contentOf(bytes: Uint8Array): unknown {
  const { loaded, error } = read(bytes, imagePlan());
  if (loaded?.state.form !== 'image') throw error ?? new Error('no image was loaded');
  const { image, memory, machineName } = loaded.state;
  const ram = memory.blocks.map(({ name }) => [name, blockBytes(memory, name).toString('base64')]);
  return { machineName, globalState: loaded.globalState, image: JSON.stringify(image), ram };
}

/** From the footer of the last ram section on: everything that is not RAM. */
function devicesOf(bytes: Buffer): Buffer {
  const first = bytes.indexOf('timer');
  return bytes.subarray(first - 6);
}

/** Sends the recorded stream into an image and out of it. */
export async function expectForwarded(name: string): Promise<void> {
  const root = temporaryDirectory();
  mkdirSync(join(root, 'in'));
  const { stream } = readStreamFixture(name);
  writeFileSync(join(root, 'in', 'machine.bin'), stream);
  const service = await startService(['--machine', 'image', '--file-root', root, '--incoming', 'file:in/machine.bin']);
  expect((await service.waitForEnd()).status).toBe('completed');

  expect((await service.send('file:out.bin')).status).toBe('completed');
  const sent = readFileSync(join(root, 'out.bin'));

  expect(contentOf(sent)).toEqual(contentOf(stream));
  expect(devicesOf(sent).equals(devicesOf(stream))).toBe(true);
  expect(devicesOf(stream).length).toBeGreaterThan(10_000);
}
