import { describe, expect, test } from 'vitest';
import type { GuestMemory } from '../../../src/domain/ports.ts';
import { CLEAN, check, qemuImg, qemuIo, qemuWrite } from '../../helpers/qcow2/tools.ts';
import {
  emptyMemory,
  failureOf,
  loadPlan,
  MEBIBYTE,
  machineMemory,
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

/** Loads all the way; the machine goes into the memory that is given. */
async function load(rig: Rig, tag: string, memory: GuestMemory, devices = ['disk0']) {
  const task = rig.engine.load(loadPlan(tag, memory, { devices }));
  const machine = await task.loaded;
  await task.apply();
  task.release();
  await task.ended;
  return machine;
}

describe('a saved machine', () => {
  test('comes back with its RAM, its devices and its run state', async () => {
    const rig = await startRig();
    const memory = machineMemory();
    const plan = savePlan('one', memory, { source: sourceOf(memory, 'tick 42'), globalState: 'paused' });
    await rig.engine.save(plan).ended;
    const target = emptyMemory();
    const { state, globalState } = await load(rig, 'one', target);
    expect(globalState).toBe('paused');
    if (state.form !== 'devices') throw new Error('it is an image');
    expect(Buffer.from(state.bodies[0]!).toString()).toBe('tick 42'.padEnd(16, '\0'));
    expect(state.memory.blocks).toEqual(target.blocks);
    expect(ramOf(target).equals(ramOf(memory))).toBe(true);
    expect(await check(rig.paths[0]!)).toEqual(CLEAN);
  });

  test('is listed with its figures, and whoever listens is told', async () => {
    const rig = await startRig();
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

  test('is there for the next service', async () => {
    const rig = await startRig();
    const memory = machineMemory();
    await save(rig, 'one', memory);
    await rig.engine.close();
    const next = await startOn(rig.paths);
    expect(next.reports).toEqual([]);
    const target = emptyMemory();
    await load(next, 'one', target);
    expect(ramOf(target).equals(ramOf(memory))).toBe(true);
  });

  test('saved again and again, each comes back as it was, and deleting them leaves an image without leaks', async () => {
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

  test('takes memory that was written before: zero pages of the snapshot clear it', async () => {
    const rig = await startRig();
    const memory = machineMemory();
    await save(rig, 'one', memory);
    const target = machineMemory();
    await load(rig, 'one', target);
    expect(ramOf(target).equals(ramOf(memory))).toBe(true);
  });

  test('progress ends where it was to end, and never ran ahead', async () => {
    const rig = await startRig();
    const memory = machineMemory();
    const saving = rig.engine.save(savePlan('one', memory));
    await saving.ended;
    const ramBytes = ramOf(memory).length;
    expect(saving.progress()).toEqual({ current: ramBytes, total: ramBytes });
    const loading = rig.engine.load(loadPlan('one', emptyMemory()));
    await loading.loaded;
    const { current, total } = loading.progress();
    expect([current, total]).toEqual([rig.engine.nodes()[0]?.snapshots[0]?.vmStateBytes, current]);
    loading.cancel();
    expect(await failureOf(loading.ended)).toMatchObject({ code: 'job_cancelled' });
  });
});

describe('the disks of several nodes', () => {
  const both = ['disk0', 'disk1'];

  /** Two nodes whose disks hold a stretch of this byte. */
  async function written(byte: number): Promise<Rig> {
    const { engine, paths } = await startRig(2);
    await engine.close();
    await fill(paths, byte);
    return startOn(paths);
  }

  test('are saved together and turned together', async () => {
    const rig = await written(1);
    await save(rig, 'one', machineMemory(), both);
    expect(
      rig.engine.nodes().map(({ snapshots }) => snapshots.map(({ tag, vmStateBytes }) => [tag, vmStateBytes > 0])),
    ).toEqual([[['one', true]], [['one', false]]]);
    await rig.engine.close();
    await fill(rig.paths, 2);
    const next = await startOn(rig.paths);
    await load(next, 'one', emptyMemory(), both);
    await next.engine.close();
    await expectFilled(rig.paths, 1);
  });

  test.each(['revert', 'cancel'] as const)('stay as they are when a load ends with %s', async (end) => {
    const rig = await written(1);
    await save(rig, 'one', machineMemory(), both);
    await rig.engine.close();
    await fill(rig.paths, 2);
    const next = await startOn(rig.paths);
    const task = next.engine.load(loadPlan('one', emptyMemory(), { devices: both }));
    await task.loaded;
    if (end === 'cancel') task.cancel();
    else {
      await task.apply();
      await task.revert();
    }
    expect(await failureOf(task.ended)).toMatchObject({ code: end === 'cancel' ? 'job_cancelled' : 'machine_refused' });
    await next.engine.close();
    await expectFilled(rig.paths, 2);
  });

  test('can be turned without a machine', async () => {
    const rig = await written(1);
    await save(rig, 'one', machineMemory(), both);
    await rig.engine.close();
    await fill(rig.paths, 2);
    const next = await startOn(rig.paths);
    await next.engine.applyDisks({ tag: 'one', devices: both }).ended;
    await next.engine.close();
    await expectFilled(rig.paths, 1);
  });

  test('deleting goes over nodes that do not have the tag', async () => {
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

/** Every image is whole and holds the stretch of this byte. */
async function expectFilled(paths: readonly string[], byte: number): Promise<void> {
  for (const path of paths) {
    expect(await check(path)).toEqual(CLEAN);
    await qemuIo(path, [`read -q -P ${byte} ${STRETCH.from} ${STRETCH.bytes}`]);
  }
}
