import { describe, expect, test } from 'vitest';
import type { GuestMemory } from '../../../src/engine/memory/machine-state.ts';
import { combinations, testInSoak } from '../../helpers/combinations.ts';
import { CLEAN, check, qemuImg, qemuIo, qemuWrite } from '../../helpers/qcow2/tools.ts';
import { shared } from '../../helpers/shared.ts';
import {
  copiesOf,
  emptyMemory,
  failureOf,
  loadPlan,
  MEBIBYTE,
  machineMemory,
  newImages,
  type Rig,
  ramOf,
  savePlan,
  sourceOf,
  startOn,
  startRig,
} from './rig.ts';

async function save(rig: Rig, tag: string, memory: GuestMemory, devices = ['disk0']): Promise<void> {
  await rig.engine.save(savePlan(tag, memory, { devices })).ended;
}

/** Executes a complete load into the given memory. */
async function load(rig: Rig, tag: string, memory: GuestMemory, devices = ['disk0']) {
  const task = rig.engine.load(loadPlan(tag, memory, { devices }));
  const machine = await task.loaded;
  await task.apply();
  task.release();
  await task.ended;
  return machine;
}

describe('a saved machine', () => {
  const common = shared(() => startRig());

  test('is listed with its figures, and the listeners are notified', async () => {
    const rig = common();
    let changes = 0;
    rig.engine.onChange(() => {
      changes += 1;
    });
    const plan = savePlan('one', machineMemory());
    await rig.engine.save(plan).ended;
    const [node] = rig.engine.nodes();
    expect(node?.snapshots).toMatchObject([
      { id: '1', tag: 'one', dateMs: plan.dateMs, clockNs: 123_456_789n, icount: null, hasDigests: true },
    ]);
    expect(node?.snapshots[0]?.vmStateBytes).toBeGreaterThan(2.5 * 2 ** 20);
    expect(changes).toBe(1);
    expect(await qemuImg('snapshot', '-U', '-l', rig.paths[0]!)).toMatch(/^1 +one +2\.\d+ MiB 2026-01-02/m);
  });

  test('is loaded with its RAM, its devices and its run state', async () => {
    const rig = common();
    const memory = machineMemory();
    const plan = savePlan('two', memory, { source: sourceOf(memory, 'tick 42'), globalState: 'paused' });
    await rig.engine.save(plan).ended;
    const target = emptyMemory();
    const { state, globalState } = await load(rig, 'two', target);
    expect(globalState).toBe('paused');
    if (state.form !== 'devices') throw new Error('it is an image');
    expect(Buffer.from(state.bodies[0]!).toString()).toBe('tick 42'.padEnd(16, '\0'));
    expect(state.memory.blocks).toEqual(target.blocks);
    expect(ramOf(target).equals(ramOf(memory))).toBe(true);
  });

  test('is loaded into used memory, which zero pages of the snapshot clear', async () => {
    const rig = common();
    const memory = machineMemory();
    await save(rig, 'three', memory);
    const target = machineMemory();
    await load(rig, 'three', target);
    expect(ramOf(target).equals(ramOf(memory))).toBe(true);
  });

  test('has a progress that ends at its total and never exceeds it', async () => {
    const rig = common();
    const memory = machineMemory();
    const saving = rig.engine.save(savePlan('four', memory));
    await saving.ended;
    const ramBytes = ramOf(memory).length;
    expect(saving.progress()).toEqual({ current: ramBytes, total: ramBytes });
    const loading = rig.engine.load(loadPlan('four', emptyMemory()));
    await loading.loaded;
    const { current, total } = loading.progress();
    expect([current, total]).toEqual([rig.engine.nodes()[0]?.snapshots.at(-1)?.vmStateBytes, current]);
    loading.cancel();
    expect(await failureOf(loading.ended)).toMatchObject({ code: 'job_cancelled' });
  });

  testInSoak('is available to the next service', async () => {
    const rig = common();
    const memory = machineMemory();
    await save(rig, 'five', memory);
    await rig.engine.close();
    expect(await check(rig.paths[0]!)).toEqual(CLEAN);
    const next = await startOn(rig.paths);
    expect(next.reports).toEqual([]);
    const target = emptyMemory();
    await load(next, 'five', target);
    expect(ramOf(target).equals(ramOf(memory))).toBe(true);
  });

  test('can be saved several times, is loaded unchanged each time, and deletions leave no leaked clusters', async () => {
    const rig = await startRig();
    const memories = [machineMemory(), machineMemory(), machineMemory()];
    for (const [index, memory] of memories.entries()) await save(rig, `s${index}`, memory);
    for (const [index, memory] of memories.entries()) {
      const target = emptyMemory();
      await load(rig, `s${index}`, target);
      expect(ramOf(target).equals(ramOf(memory)), `s${index}`).toBe(true);
    }
    for (const index of [1, 0, 2]) await rig.engine.delete({ tag: `s${index}`, devices: ['disk0'] }).ended;
    expect(rig.engine.nodes()[0]?.snapshots).toEqual([]);
    expect(await check(rig.paths[0]!)).toEqual(CLEAN);
  });
});

describe('the disks of several nodes', () => {
  const both = ['disk0', 'disk1'];

  /** Two nodes with a snapshot `one`, whose disks contain another byte than at the snapshot. */
  const saved = shared(async () => {
    const paths = await newImages(2);
    await fill(paths, 1);
    const rig = await startOn(paths);
    await save(rig, 'one', machineMemory(), both);
    const snapshots = rig.engine.nodes().map((node) => node.snapshots);
    await rig.engine.close();
    await fill(paths, 2);
    return { paths, snapshots };
  });
  const startSaved = (): Promise<Rig> => startOn(copiesOf(saved().paths));

  test('are saved together and switched together', async () => {
    expect(saved().snapshots.map((list) => list.map(({ tag, vmStateBytes }) => [tag, vmStateBytes > 0]))).toEqual([
      [['one', true]],
      [['one', false]],
    ]);
    const rig = await startSaved();
    await load(rig, 'one', emptyMemory(), both);
    await rig.engine.close();
    await expectFilled(rig.paths, 1);
  });

  test.each(combinations(['revert', 'cancel'], ['revert']))('are unchanged if a load ends with %s', async (end) => {
    const rig = await startSaved();
    const task = rig.engine.load(loadPlan('one', emptyMemory(), { devices: both }));
    await task.loaded;
    if (end === 'cancel') task.cancel();
    else {
      await task.apply();
      await task.revert();
    }
    expect(await failureOf(task.ended)).toMatchObject({ code: end === 'cancel' ? 'job_cancelled' : 'machine_refused' });
    await rig.engine.close();
    await expectFilled(rig.paths, 2);
  });

  test('can be switched without a machine', async () => {
    const rig = await startSaved();
    await rig.engine.applyDisks({ tag: 'one', devices: both }).ended;
    await rig.engine.close();
    await expectFilled(rig.paths, 1);
  });

  test('are skipped by a deletion if they lack the tag', async () => {
    const rig = await startRig(2);
    await save(rig, 'one', machineMemory());
    const task = rig.engine.delete({ tag: 'one', devices: both });
    await task.ended;
    expect(rig.engine.nodes().flatMap(({ snapshots }) => snapshots)).toEqual([]);
    const { current, total } = task.progress();
    // Of RAM every second page was stored.
    expect(total).toBeGreaterThan((5 * MEBIBYTE) / 2);
    expect(current).toBe(total);
  });
});

const STRETCH = { from: 1_000_000, bytes: 70_000 };

async function fill(paths: readonly string[], byte: number): Promise<void> {
  for (const path of paths) await qemuWrite(path, STRETCH.from, Buffer.alloc(STRETCH.bytes, byte));
}

/** Expects that every image is valid and contains this byte. */
async function expectFilled(paths: readonly string[], byte: number): Promise<void> {
  for (const path of paths) {
    expect(await check(path)).toEqual(CLEAN);
    await qemuIo(path, [`read -q -P ${byte} ${STRETCH.from} ${STRETCH.bytes}`]);
  }
}
