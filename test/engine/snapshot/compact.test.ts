// Compactions in the block thread, which are paused and ended, with a snapshot that is verified afterwards.

import { statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CLEAN, check } from '../../helpers/qcow2/tools.ts';
import { failureOf, MEBIBYTE, machineMemory, type Rig, savePlan, startRig } from './rig.ts';

const DISK0 = { devices: ['disk0'] };

/** Its image is longer than what it uses: a snapshot before the one that it has was deleted. */
async function longRig(): Promise<Rig> {
  const rig = await startRig();
  for (const tag of ['old', 'kept']) await rig.engine.save(savePlan(tag, machineMemory())).ended;
  await rig.engine.delete({ tag: 'old', ...DISK0 }).ended;
  return rig;
}

function lengthOf({ paths }: Rig): number {
  return statSync(paths[0]!).size;
}

async function expectKept({ engine, paths }: Rig): Promise<void> {
  const verified = await engine.verify({ tag: 'kept', vmState: 'disk0', ...DISK0 }).ended;
  expect(verified.hadDigests).toBe(true);
  await engine.close();
  expect(await check(paths[0]!)).toMatchObject(CLEAN);
}

test('a compaction reports its result, and the snapshots are still valid', async () => {
  const rig = await longRig();
  const before = lengthOf(rig);
  const task = rig.engine.compact(DISK0);
  const [compaction] = await task.ended;
  expect(compaction).toMatchObject({ node: 'disk0', fileBytesBefore: before, fileBytes: lengthOf(rig) });
  expect(before - lengthOf(rig)).toBeGreaterThan(2 * MEBIBYTE);
  expect(task.progress().current).toBe(task.progress().total);
  await expectKept(rig);
});

test('a paused compaction makes no progress until it is resumed', async () => {
  const rig = await longRig();
  const before = lengthOf(rig);
  const task = rig.engine.compact(DISK0);
  task.pause();
  await rig.engine.digests({ tag: 'kept', ...DISK0 }).ended;
  expect([lengthOf(rig), task.progress().current]).toEqual([before, 0]);
  task.resume();
  await task.ended;
  expect(lengthOf(rig)).toBeLessThan(before);
  await expectKept(rig);
});

test('a compaction that is cancelled, also while it is paused, leaves a valid image', async () => {
  const rig = await longRig();
  const task = rig.engine.compact(DISK0);
  task.pause();
  task.cancel();
  expect(await failureOf(task.ended)).toMatchObject({ code: 'job_cancelled' });
  await expectKept(rig);
});

test('a handover of the disks ends a compaction, and waits for at most one step', async () => {
  const rig = await longRig();
  const task = rig.engine.compact(DISK0);
  task.pause();
  await rig.engine.deactivate();
  expect(await failureOf(task.ended)).toMatchObject({ code: 'node_inactive' });
  await rig.engine.activate();
  await expectKept(rig);
});
