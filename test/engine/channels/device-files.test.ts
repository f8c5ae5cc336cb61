import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deviceFiles } from '../../../src/engine/channels/device-files.ts';
import type { TransferSource } from '../../../src/engine/memory/machine-state.ts';
import { DEVICE_BYTES_MAX } from '../../../src/engine/stream/constants.ts';
import { temporaryDirectory } from '../../helpers/app.ts';
import { SmallMachine } from '../stream/reading.ts';

const CONTENT = Buffer.from('not a device state');

function sourceOf({ memory, devices }: SmallMachine): TransferSource {
  return { machineName: 'small-1.0', memory, vcpuControl: null, state: { form: 'devices', devices } };
}

/** A root next to a folder outside it. */
function places() {
  const parent = temporaryDirectory();
  const fileRoot = join(parent, 'root');
  for (const name of ['root', 'root/sub', 'other']) mkdirSync(join(parent, name));
  writeFileSync(join(parent, 'other', 'file'), CONTENT);
  symlinkSync(join(parent, 'other'), join(fileRoot, 'linked'));
  symlinkSync(join(parent, 'other', 'file'), join(fileRoot, 'link'));
  linkSync(join(parent, 'other', 'file'), join(fileRoot, 'hard'));
  return { fileRoot, outside: join(parent, 'other'), at: (path: string) => ({ fileRoot, path }) };
}

describe('a file with a device state', () => {
  it('is created and replaced with access for its owner only, and read back', async () => {
    const { fileRoot, at } = places();
    const source = sourceOf(new SmallMachine());
    const { bytes } = deviceFiles.encode(source);
    writeFileSync(join(fileRoot, 'sub', 'old'), CONTENT);
    for (const name of ['new', 'old']) {
      await deviceFiles.write(at(`sub/${name}`), bytes);
      expect(Buffer.compare(readFileSync(join(fileRoot, 'sub', name)), bytes)).toBe(0);
      expect(statSync(join(fileRoot, 'sub', name)).mode & 0o777).toBe(0o600);
      expect(await deviceFiles.read(at(`sub/${name}`), source)).toMatchObject({ state: { form: 'devices' } });
    }
    expect(readdirSync(join(fileRoot, 'sub')).sort()).toEqual(['new', 'old']);
  });

  it.each([
    ['link', 'not_a_plain_file'],
    ['hard', 'not_a_plain_file'],
    ['sub', 'not_a_plain_file'],
    ['linked/file', 'not_a_plain_file'],
    ['nowhere/file', 'no_such_file'],
    ['../other/file', 'file_outside_root'],
  ])('is neither written nor read at %s', async (path, code) => {
    const { fileRoot, outside, at } = places();
    const source = sourceOf(new SmallMachine());
    await expect(deviceFiles.write(at(path), deviceFiles.encode(source).bytes)).rejects.toMatchObject({ code });
    await expect(deviceFiles.read(at(path), source)).rejects.toMatchObject({ code });
    expect(readFileSync(join(outside, 'file'))).toEqual(CONTENT);
    expect(readdirSync(outside)).toEqual(['file']);
    expect(readdirSync(fileRoot).sort()).toEqual(['hard', 'link', 'linked', 'sub']);
    expect(readdirSync(join(fileRoot, 'sub'))).toEqual([]);
  });

  it('is refused with its path if it is invalid, and not read if it is far too long', async () => {
    const { fileRoot, at } = places();
    writeFileSync(join(fileRoot, 'x'), CONTENT);
    const reading = () => deviceFiles.read(at('x'), sourceOf(new SmallMachine()));
    await expect(reading()).rejects.toMatchObject({
      code: 'not_a_migration_stream',
      message: /^file:x: .* at byte 0 /,
    });
    truncateSync(join(fileRoot, 'x'), DEVICE_BYTES_MAX + 1);
    await expect(reading()).rejects.toMatchObject({ code: 'device_bytes_too_many' });
  });
});
