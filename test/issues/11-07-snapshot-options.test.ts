// A CI pipeline could save under an existing tag only by a delete and a save, and a crash between the two lost both
// snapshots. Snapshots had no description, disks could not be saved alone, a list did not show which machine a load
// requires, and a job that `kill -9` interrupted had no duration.

import { expect, test } from 'vitest';
import { decodeAbout, encodeAbout } from '../../src/engine/snapshot/worker/snapshot-extra.ts';
import { checked, newImage, pattern, snapshotNamed } from '../block/images.ts';
import { localService } from '../helpers/guest-service.ts';
import { Snapshots } from '../helpers/snapshots/snapshot-client.ts';

type Listed = { readonly tag: string; readonly date: string; readonly [member: string]: unknown };

test('a snapshot is replaced or kept as requested, and shows its description and expiry', async () => {
  const service = await localService(['--workload', 'rate=0', '--vcpus', '2'], { hasDisk: true });
  const snapshots = new Snapshots(service);
  const listed = async () => (await service.get<{ snapshots: Listed[] }>('/snapshots')).snapshots;
  await snapshots.does('save', 'warm', { description: 'first', ttl: 3600 });
  const [first] = await listed();
  expect(first).toMatchObject({ tag: 'warm', description: 'first', 'ram-size': 16 * 2 ** 20, vcpus: 2 });
  const livesMs = Date.parse(String(first?.['expires-at'])) - Date.parse(String(first?.date));
  expect(Math.abs(livesMs - 3_600_000)).toBeLessThan(1000);

  const kept = await snapshots.does('save', 'warm', { 'if-missing': true });
  expect(kept.result).toMatchObject({ tag: 'warm', existed: true });
  expect(await listed()).toEqual([first]);

  const made = await snapshots.does('save', 'warm', { replace: true });
  expect(made.result).toMatchObject({ tag: 'warm', existed: false });
  const [second, ...others] = await listed();
  expect(others).toEqual([]);
  expect(second).toMatchObject({ tag: 'warm', description: null, 'expires-at': null, consistent: true });
  expect(second?.date).not.toBe(first?.date);
  await snapshots.does('verify', 'warm');
  await snapshots.does('load', 'warm');

  await snapshots.does('save', 'disks', { 'disk-only': true });
  expect((await listed())[0]).toMatchObject({ tag: 'disks', vmstate: null, 'vm-state-size': 0 });
  await snapshots.does('verify', 'disks');
  const refused = await snapshots.ask('load', 'disks');
  expect(refused.json.code).toBe('snapshot_without_vm_state');

  for (const options of [{ replace: true, 'if-missing': true }, { 'disk-only': true, vmstate: 'disk0' }, { ttl: 0 }]) {
    const reply = await snapshots.ask('save', 'never', options);
    expect([reply.status, reply.json.code], reply.text).toEqual([422, 'value_out_of_range']);
  }
  expect((await listed()).map(({ tag }) => tag)).toEqual(['disks', 'warm']);
});

test('an image replaces one snapshot by another in one step, and keeps both if the step fails', async () => {
  const image = await newImage();
  for (const [index, name] of ['warm', 'other', '.new'].entries()) {
    await image.write(index * 1000, pattern(300_000, index));
    await image.createSnapshot(snapshotNamed(name, { dateMs: 1_700_000_000_000 + index }));
  }
  const [old] = image.snapshots;
  await expect(image.renameSnapshot('9', { name: 'warm', inPlaceOf: [old!.id] })).rejects.toThrow('id 9');
  expect(image.snapshots.map(({ name }) => name)).toEqual(['warm', 'other', '.new']);
  await image.renameSnapshot('3', { name: 'warm', inPlaceOf: [old!.id] });
  expect(image.snapshots.map(({ id, name }) => [id, name])).toEqual([
    ['2', 'other'],
    ['3', 'warm'],
  ]);
  await image.renameSnapshot('2', { name: 'alone', inPlaceOf: [] });
  await image.close();
  expect(await checked(image.path)).toBe('clean');
});

test('the description of a snapshot is decoded as it was encoded, and not at all if it is cut off', () => {
  const about = { description: 'ü'.repeat(200), expiresAtMs: 1_700_000_000_000, ramBytes: 2 ** 40, vcpus: 64 };
  const bytes = encodeAbout(about);
  expect(bytes.length).toBeLessThan(900);
  expect(decodeAbout(Buffer.concat([Buffer.alloc(32), bytes]), 32)).toEqual(about);
  for (let cut = 0; cut < bytes.length; cut += 1) expect(decodeAbout(bytes.subarray(0, cut), 0)).toBeNull();
});
