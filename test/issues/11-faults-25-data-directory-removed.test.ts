// The data directory is removed while a service runs. Before, only `/readyz` was tested. Work that needs the
// directory fails with the reason each time. The guest keeps running and can be migrated to another host, and the
// service ends in order. Settings were accepted with 200 and lost at the next start, because SQLite continues to
// write into a removed file.

import { cpSync, renameSync, rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { localService } from '../helpers/guest-service.ts';
import { addressToListen } from '../helpers/transports.ts';

const REMOVALS: Readonly<Record<string, (path: string) => void>> = {
  removed: (path) => rmSync(path, { recursive: true }),
  'moved away': (path) => renameSync(path, `${path}-elsewhere`),
};

test.each(Object.entries(REMOVALS))(
  'jobs fail with the reason if the data directory was %s, and the guest runs and can be migrated to another host',
  async (_what, remove) => {
    const data = `${temporaryDirectory()}/data`;
    const source = await localService([], { data, hasDisk: true });
    await source.expectRunning();
    remove(data);

    const ready = await source.call('/readyz');
    expect([ready.status, ready.text]).toEqual([503, expect.stringContaining('ENOENT')]);
    for (const tag of ['one', 'two']) {
      const saved = await source.call('/snapshots', { body: { tag }, headers: { prefer: 'wait=20' } });
      expect(saved.json).toMatchObject({ error: expect.stringContaining(data) });
      expect(await source.migrate('file:guest.bin')).toMatchObject({
        status: 'failed',
        guest: 'here',
        error: { code: 'no_such_file' },
      });
      await source.expectRunning();
    }
    const target = await localService(['--incoming', addressToListen('tcp')]);
    expect(await source.migrate(await target.incomingUri())).toMatchObject({ status: 'completed' });
    await target.untilStatus('completed');
    await target.expectRunning();
  },
);

test.each([
  ...Object.entries(REMOVALS),
  [
    'replaced by a copy',
    (path: string) => {
      cpSync(path, `${path}-copy`, { recursive: true });
      rmSync(path, { recursive: true });
      renameSync(`${path}-copy`, path);
    },
  ] as const,
])('settings that would be lost at the next start are refused if the data directory was %s', async (_what, remove) => {
  const data = `${temporaryDirectory()}/data`;
  const service = await localService([], { data });
  await service.set({ 'downtime-limit': 400 });
  remove(data);

  const changes = [
    ['/migrate/parameters', { 'downtime-limit': 500 }],
    ['/migrate/capabilities', { capabilities: [{ capability: 'return-path', state: true }] }],
  ] as const;
  for (const [path, body] of changes) {
    const before = await service.get(path);
    const refused = await service.call(path, { method: 'PATCH', body });
    expect([refused.status, refused.json]).toMatchObject([500, { code: 'data_directory_unusable' }]);
    expect(refused.json.detail).toContain(data);
    expect(await service.get(path)).toEqual(before);
  }
});
