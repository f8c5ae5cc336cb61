// A full disk was reported in many forms. Now a request that cannot be stored gets status 507. Work that was accepted
// and failed is read with status 200 and has the code `no_space`. QMP and HMP report it in their own forms.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { type LocalService, localService } from '../helpers/guest-service.ts';
import { describeWithMounts, fillUp, smallDisk } from '../helpers/snapshots/mounts.ts';
import { createImage } from '../helpers/snapshots/qemu-image.ts';

const GUEST = ['--ram', '4M', '--workload', 'rate=0,fill=random', '--vcpus', '1'];
const WAIT = { prefer: 'wait=30' };
const FULL = { status: 507, code: 'no_space' };

type Place = readonly [path: string, request: Parameters<LocalService['call']>[1], answer: object];

/** The answer: its status, and its code from any form of answer. */
async function answered(service: LocalService, [path, request]: Place) {
  const { status, json, text } = await service.call(path, request);
  const error = json.error as { code?: string } | string | undefined;
  const code = json.code ?? json['error-code'] ?? (typeof error === 'object' ? error?.code : undefined);
  return { status, code, text };
}

async function expectAnswers(service: LocalService, places: readonly Place[]): Promise<void> {
  for (const place of places) expect(await answered(service, place), place[0]).toMatchObject(place[2]);
  await service.expectRunning();
}

describeWithMounts('a full disk', () => {
  test('with the files and images of a service fails the affected work with no_space', async () => {
    const small = smallDisk(8);
    const image = join(small, 'disk0.qcow2');
    createImage(image);
    mkdirSync(join(small, 'files'));
    const flags = [...GUEST, '--blockdev', `disk0=${image}`, '--file-root', join(small, 'files')];
    const service = await localService(flags, { data: temporaryDirectory(), hasDisk: true });
    fillUp(small, 0);
    const command = (execute: string, rest: object) => ({ body: { execute, arguments: rest } });
    await expectAnswers(service, [
      ['/snapshots', { body: { tag: 'a' }, headers: WAIT }, { status: 200, code: 'no_space' }],
      ['/migrate', { body: { uri: 'file:guest' }, headers: WAIT }, { status: 200, code: 'no_space' }],
      ['/xen/save-devices-state', { body: { filename: 'devices' } }, FULL],
      [
        '/hmp',
        { body: 'savevm a', headers: { 'content-type': 'text/plain' } },
        { status: 200, text: expect.stringMatching(/Error: .*[Nn]o space/) },
      ],
      [
        '/qmp',
        command('xen-save-devices-state', { filename: 'devices' }),
        { text: expect.stringMatching(/[Nn]o space/) },
      ],
    ]);
    expect((await service.get<{ snapshots: unknown[] }>('/snapshots')).snapshots).toEqual([]);
  });

  test('with the database refuses requests that cannot be stored with 507', async () => {
    const data = smallDisk(8);
    const image = join(temporaryDirectory(), 'disk0.qcow2');
    createImage(image);
    const service = await localService([...GUEST, '--blockdev', `disk0=${image}`], { data, hasDisk: true });
    const fill = () => fillUp(data, 0);
    fill();
    // The room that is kept is used up as well.
    rmSync(join(data, 'reserve'));
    rmSync(join(data, 'ballast'));
    fill();
    const patch = (body: object) => ({ method: 'PATCH', body }) as const;
    const events = { capabilities: [{ capability: 'events', state: true }] };
    await expectAnswers(service, [
      ['/snapshots', { body: { tag: 'a' }, headers: WAIT }, FULL],
      ['/snapshots/a', { method: 'DELETE', headers: WAIT }, { status: 404 }],
      ['/migrate', { body: { uri: 'file:guest' } }, FULL],
      ['/migrate/parameters', patch({ 'max-bandwidth': 10 ** 7 }), FULL],
      ['/migrate/capabilities', patch(events), FULL],
      [
        '/hmp',
        { body: 'savevm a', headers: { 'content-type': 'text/plain' } },
        { status: 200, text: expect.stringMatching(/Error: .*[Nn]o space/) },
      ],
      [
        '/qmp',
        { body: { execute: 'migrate', arguments: { uri: 'file:guest' } } },
        { text: expect.stringMatching(/[Nn]o space/) },
      ],
    ]);
  });
});
