// The system reports a symbolic link in place of a folder as ENOTDIR. The error therefore said that a part of the
// path is not a folder. It named neither the link nor the rule, and it came after the request to migrate had been
// accepted.

import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { localService } from '../helpers/guest-service.ts';
import { shared } from '../helpers/shared.ts';

const world = shared(async () => {
  const root = temporaryDirectory();
  mkdirSync(join(root, 'folder', 'inner'), { recursive: true });
  writeFileSync(join(root, 'folder', 'stream'), 'a stream');
  symlinkSync(join(root, 'folder'), join(root, 'to-folder'));
  symlinkSync('inner', join(root, 'folder', 'to-inner'));
  symlinkSync('stream', join(root, 'folder', 'to-file'));
  symlinkSync('nowhere', join(root, 'to-nothing'));
  symlinkSync('to-itself', join(root, 'to-itself'));
  const source = await localService(['--file-root', root, '--paused']);
  const target = await localService(['--file-root', root, '--incoming', 'defer']);
  return { root, source, target };
});

test.each([
  ['to-folder/new', 'to-folder'],
  ['to-folder/stream', 'to-folder'],
  ['folder/to-inner/new', 'folder/to-inner'],
  ['to-itself/new', 'to-itself'],
  ['folder/to-file', 'it'],
  ['folder/to-file/new', 'folder/to-file'],
  ['to-nothing', 'it'],
  ['to-itself', 'it'],
])('the request with file:%s is refused, and the error names the symbolic link', async (path, link) => {
  const { root, source } = world();
  const message = `${link} is a symbolic link`;
  const before = (await source.get<{ migrations: unknown[] }>('/migrations')).migrations;
  for (const uri of [`file:${path}`, `file:${join(root, path)}`, `file:${path},offset=4096`]) {
    const reply = await source.call('/migrate', { body: { uri } });
    expect(reply.json, uri).toMatchObject({ status: 422, code: 'not_a_plain_file' });
    expect(reply.json.detail).toContain(message);
  }
  for (const verb of ['save', 'load']) {
    const reply = await source.call(`/xen/${verb}-devices-state`, { body: { filename: path } });
    expect(reply.json).toMatchObject({
      status: 422,
      code: 'not_a_plain_file',
      detail: expect.stringContaining(message),
    });
  }
  expect((await source.get<{ migrations: unknown[] }>('/migrations')).migrations).toEqual(before);
  expect(existsSync(join(root, 'folder', 'new'))).toBe(false);
});

test('an incoming migration through a symbolic link is refused, and the error names the link', async () => {
  const { target } = world();
  for (const [path, link] of [
    ['to-folder/stream', 'to-folder'],
    ['folder/to-file', 'it'],
  ]) {
    const reply = await target.call('/migrate/incoming', { body: { uri: `file:${path}` } });
    expect(reply.json).toMatchObject({ status: 422, code: 'not_a_plain_file' });
    expect(reply.json.detail).toContain(`${link} is a symbolic link`);
  }
});

test('a path through a plain file is refused with its own error, and a path without links is accepted', async () => {
  const { source } = world();
  expect(await source.migrate('file:folder/stream/new')).toMatchObject({
    error: { code: 'no_such_file', desc: expect.stringContaining('is no folder') },
  });
  expect(await source.migrate('file:folder/inner/guest')).toMatchObject({ status: 'completed' });
});

test('a file root that is itself a symbolic link to a folder is accepted', async () => {
  const { root } = world();
  const source = await localService(['--file-root', join(root, 'to-folder'), '--paused']);
  expect(await source.migrate('file:linked-root')).toMatchObject({ status: 'completed' });
  expect(existsSync(join(root, 'folder', 'linked-root'))).toBe(true);
});
