// A symbolic link where a folder is wanted is reported by the system as ENOTDIR: the refusal said that a part of the path
// is no folder, which named neither the link nor the rule, and came after the request to migrate had been accepted.

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
])('file:%s is refused at the request, which names the link', async (path, link) => {
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

test('a link is refused where a migration is to come in, too, and named', async () => {
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

test('a path through a file is still refused as one through no folder, and one of no link is taken', async () => {
  const { source } = world();
  expect(await source.migrate('file:folder/stream/new')).toMatchObject({
    error: { code: 'no_such_file', desc: expect.stringContaining('is no folder') },
  });
  expect(await source.migrate('file:folder/inner/guest')).toMatchObject({ status: 'completed' });
});

test('a file root that is itself a link to a folder is the one that its operator chose', async () => {
  const { root } = world();
  const source = await localService(['--file-root', join(root, 'to-folder'), '--paused']);
  expect(await source.migrate('file:linked-root')).toMatchObject({ status: 'completed' });
  expect(existsSync(join(root, 'folder', 'linked-root'))).toBe(true);
});
