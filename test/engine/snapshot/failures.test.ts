import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BlockError } from '../../../src/block/image.ts';
import { createBlockEngine } from '../../../src/engine/snapshot/block-engine.ts';
import { temporaryDirectory } from '../../helpers/app.ts';
import { CLEAN, check } from '../../helpers/qcow2/tools.ts';
import { shared } from '../../helpers/shared.ts';
import { emptyMemory, failureOf, loadPlan, machineMemory, ramOf, savePlan, startRig } from './rig.ts';

const both = ['disk0', 'disk1'];

describe('a save that is cancelled', () => {
  test('before it began leaves nothing', async () => {
    const { engine, paths } = await startRig(2);
    const task = engine.save(savePlan('one', machineMemory(), { devices: both }));
    task.cancel();
    expect(await failureOf(task.ended)).toMatchObject({ code: 'job_cancelled' });
    expect(await failureOf(task.captured)).toMatchObject({ code: 'job_cancelled' });
    expect(engine.nodes().flatMap(({ snapshots }) => snapshots)).toEqual([]);
    await engine.close();
    for (const path of paths) expect(await check(path)).toEqual(CLEAN);
  });

  test('after the machine was captured removes the snapshots of all nodes', async () => {
    const { engine, paths } = await startRig(2);
    await engine.save(savePlan('before', machineMemory(), { devices: both })).ended;
    const task = engine.save(savePlan('one', machineMemory(), { devices: both }));
    await task.captured;
    task.cancel();
    // The cancel may have been too late; then the snapshot is complete.
    const ended = await task.ended.then(
      () => 'completed',
      ({ code }) => code,
    );
    const expected = ended === 'completed' ? ['before', 'one'] : ['before'];
    for (const { snapshots } of engine.nodes()) expect(snapshots.map(({ tag }) => tag)).toEqual(expected);
    await engine.close();
    for (const path of paths) expect(await check(path)).toEqual(CLEAN);
  });

  test('ends at once, even while it is paused', async () => {
    const { engine, paths } = await startRig();
    const task = engine.save(savePlan('one', machineMemory()));
    task.pause();
    task.cancel();
    expect(await failureOf(task.ended)).toMatchObject({ code: 'job_cancelled' });
    await engine.close();
    expect(await check(paths[0]!)).toEqual(CLEAN);
  });
});

describe('a task that is paused', () => {
  test('makes no progress until it is resumed', async () => {
    const { engine } = await startRig();
    const memory = machineMemory();
    const task = engine.save(savePlan('one', memory));
    task.pause();
    // Another task completes meanwhile; this one makes no progress.
    await engine.delete({ tag: 'none', devices: ['disk0'] }).ended;
    const { current } = task.progress();
    await engine.delete({ tag: 'none', devices: ['disk0'] }).ended;
    expect(task.progress().current).toBe(current);
    expect(engine.nodes()[0]?.snapshots).toEqual([]);
    task.resume();
    await task.ended;
    const target = emptyMemory();
    await engine.load(loadPlan('one', target)).loaded;
    expect(ramOf(target).equals(ramOf(memory))).toBe(true);
  });
});

describe('a missing image', () => {
  test('fails a save, and the snapshot of the other node is removed', async () => {
    const { engine, paths } = await startRig(2);
    rmSync(paths[1]!);
    const error = await failureOf(engine.save(savePlan('one', machineMemory(), { devices: both })).ended);
    expect(error.code).toBe('image_gone');
    expect(error.message).toContain(paths[1]!);
    expect(engine.nodes().flatMap(({ snapshots }) => snapshots)).toEqual([]);
    await engine.close();
    expect(await check(paths[0]!)).toEqual(CLEAN);
  });

  test('between the two steps of a load fails the load, and the other node can have new snapshots', async () => {
    const { engine, paths } = await startRig(2);
    await engine.save(savePlan('one', machineMemory(), { devices: both })).ended;
    const task = engine.load(loadPlan('one', emptyMemory(), { devices: both }));
    await task.loaded;
    rmSync(paths[1]!);
    expect(await failureOf(task.apply())).toMatchObject({ code: 'image_gone' });
    await failureOf(task.ended);
    await engine.save(savePlan('two', machineMemory())).ended;
    await engine.close();
    expect(await check(paths[0]!)).toEqual(CLEAN);
  });

  test('fails a load, a verification, a deletion and a switch of disks', async () => {
    const { engine, paths } = await startRig();
    await engine.save(savePlan('one', machineMemory())).ended;
    rmSync(paths[0]!);
    const plan = { tag: 'one', vmState: 'disk0', devices: ['disk0'] };
    for (const verb of ['load', 'verify', 'delete', 'applyDisks'] as const) {
      const task = verb === 'load' ? engine.load(loadPlan('one', emptyMemory())) : engine[verb](plan);
      expect(await failureOf(task.ended), verb).toMatchObject({ code: 'image_gone' });
    }
  });
});

describe('a machine that does not match', () => {
  const saved = shared(async () => {
    const rig = await startRig(2);
    await rig.engine.save(savePlan('one', machineMemory(), { devices: both })).ended;
    return rig;
  });

  test.each([
    [{ tag: 'two' }, 'snapshot_not_found'],
    [{ vmState: 'disk7' }, 'node_not_found'],
    // A snapshot of disks alone.
    [{ vmState: 'disk1' }, 'snapshot_without_vm_state'],
  ])('is not searched for with the options %j', async (changes, code) => {
    const task = saved().engine.load(loadPlan('one', emptyMemory(), changes));
    expect(await failureOf(task.loaded)).toMatchObject({ code });
    expect(await failureOf(task.ended)).toMatchObject({ code });
  });

  test('is refused with the reason of a migration, and the disks are unchanged', async () => {
    const { engine, paths } = saved();
    const small = emptyMemory(2 ** 20);
    const error = await failureOf(engine.load(loadPlan('one', small)).loaded);
    expect(error).toMatchObject({ code: 'ram_block_length' });
    expect(error.message).toContain('main.ram');
    await engine.close();
    for (const path of paths) expect(await check(path)).toEqual(CLEAN);
  });
});

describe('an engine that cannot start', () => {
  test('names the node and the file, and leaves no image locked', async () => {
    const directory = temporaryDirectory();
    const good = { name: 'disk0', path: `${directory}/good.qcow2`, createBytes: 2 ** 20 };
    const missing = { name: 'disk1', path: `${directory}/missing.qcow2`, createBytes: null };
    const start = (nodes: (typeof good | typeof missing)[]) => createBlockEngine({ nodes, report: () => {} });
    const error = await start([good, missing]).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(BlockError);
    expect(error).toMatchObject({ code: 'image_not_found', message: expect.stringContaining("'disk1'") });
    expect((error as BlockError).message).toContain(missing.path);
    const engine = await start([good]);
    await expect(start([good])).rejects.toMatchObject({ code: 'image_locked' });
    await engine.close();
  });
});
