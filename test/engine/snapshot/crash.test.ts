import { rmSync } from 'node:fs';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { SnapshotTask } from '../../../src/domain/ports/block-nodes.ts';
import { DiskSlot } from '../../../src/engine/memory/disk-slot.ts';
import { VcpuControl } from '../../../src/engine/memory/vcpu-control.ts';
import type { BlockEngineOptions } from '../../../src/engine/snapshot/block-worker.ts';
import { combinations, testInSoak } from '../../helpers/combinations.ts';
import { CLEAN, check } from '../../helpers/qcow2/tools.ts';
import { type Moment, mortalThread } from '../../helpers/workers/mortal.ts';
import { emptyMemory, failureOf, loadPlan, machineMemory, ramOf, savePlan, startRig } from './rig.ts';

/** An engine whose thread can be ordered to die or to hang. */
async function startMortal(options: Partial<BlockEngineOptions> = {}) {
  const { workerUrl, tell } = mortalThread();
  const rig = await startRig(1, { workerUrl, hangMsMax: 20_000, ...options });
  return { ...rig, tell };
}

describe('a block thread that dies', () => {
  test('fails the tasks in progress, and the next task reopens the images', async () => {
    const { engine, paths, reports, tell } = await startMortal();
    const memory = machineMemory();
    await engine.save(savePlan('before', memory)).ended;
    const task = engine.save(savePlan('one', machineMemory()));
    task.pause();
    void tell('die');
    const error = await failureOf(task.ended);
    expect(error).toMatchObject({ code: 'engine_crashed', message: 'the block thread died: told to die' });
    const target = emptyMemory();
    const loading = engine.load(loadPlan('before', target));
    await loading.loaded;
    loading.cancel();
    await failureOf(loading.ended);
    expect(ramOf(target).equals(ramOf(memory))).toBe(true);
    expect(engine.nodes()[0]?.snapshots.map(({ tag }) => tag)).toEqual(['before']);
    expect(reports).toContain('WorkerDeath: the block thread died: told to die');
    await engine.close();
    expect(await check(paths[0]!)).toEqual(CLEAN);
  });

  // Without an error event; the end by `die` above and by `fill` have one.
  const exit = ['exit', 'it exited with status 3'] as const;

  test.each(combinations([exit, ['fill', 'memory limit']], [exit]))(
    'by %s fails the task in progress, and the next save succeeds',
    async (end, reason) => {
      const { engine, paths, tell } = await startMortal();
      const task = engine.save(savePlan('one', machineMemory()));
      task.pause();
      void tell(end);
      const message = expect.stringContaining(reason);
      expect(await failureOf(task.captured)).toMatchObject({ code: 'engine_crashed', message });
      expect(await failureOf(task.ended)).toMatchObject({ code: 'engine_crashed', message });
      await engine.save(savePlan('two', machineMemory())).ended;
      expect(engine.nodes()[0]?.snapshots.map(({ tag }) => tag)).toEqual(['two']);
      await engine.close();
      expect(await check(paths[0]!)).toEqual(CLEAN);
    },
  );

  testInSoak(
    'after the creation of a snapshot leaves no snapshot, and its removal does not delay the guest',
    async () => {
      const { engine, paths, tell } = await startMortal();
      const task = engine.save(savePlan('one', machineMemory()));
      await task.captured;
      task.pause();
      void tell('die');
      const ended = await task.ended.then(
        () => 'completed',
        ({ code }) => code,
      );
      // The pause may have come after the last step of the task.
      const tags = ended === 'completed' ? ['one'] : [];
      expect(['completed', 'engine_crashed']).toContain(ended);
      expect(engine.nodes()[0]?.snapshots.map(({ tag }) => tag)).toEqual(tags);
      await engine.close();
      expect(await check(paths[0]!)).toEqual(CLEAN);
    },
  );

  test('during a deletion leaves an image that the next start repairs', async () => {
    const { engine, tell } = await startMortal();
    await engine.save(savePlan('one', machineMemory())).ended;
    const task = engine.delete({ tag: 'one', devices: ['disk0'] });
    task.pause();
    void tell('die');
    expect(await failureOf(task.ended)).toMatchObject({
      code: 'engine_crashed',
      message: expect.stringContaining("'one'"),
      left: true,
    });
  });

  test('during a save reports the remaining snapshot if an image is missing', async () => {
    const { engine, paths, tell } = await startMortal();
    const task = engine.save(savePlan('one', machineMemory()));
    task.pause();
    rmSync(paths[0]!);
    void tell('die');
    expect(await failureOf(task.ended)).toMatchObject({
      code: 'engine_crashed',
      message: expect.stringMatching(/'one'.*disk0/),
      left: true,
    });
  });

  test('is detected if it only hangs', async () => {
    const { engine, tell } = await startMortal({ hangMsMax: 5000 });
    const task = engine.save(savePlan('one', machineMemory()));
    task.pause();
    void tell('hang');
    let isCaptureOver = false;
    const capture = failureOf(task.captured).finally(() => {
      isCaptureOver = true;
    });
    let wasOpen = false;
    engine.onChange(() => {
      wasOpen ||= !isCaptureOver;
    });
    expect(await capture).toMatchObject({ code: 'engine_crashed' });
    expect(wasOpen).toBe(false);
    expect(await failureOf(task.ended)).toMatchObject({
      code: 'engine_crashed',
      message: 'the block thread died: it showed no sign of life for 5000 ms',
    });
    await engine.save(savePlan('two', machineMemory())).ended;
    expect(engine.nodes()[0]?.snapshots.map(({ tag }) => tag)).toEqual(['two']);
  });
});

test('a disk that does not answer does not delay a cancelled save', async () => {
  const { engine, tell } = await startMortal();
  const task = engine.save(savePlan('one', machineMemory(2 ** 21)));
  task.pause();
  await tell('stall now');
  task.resume();
  // All of it is staged, and waits for the disk.
  await until(() => task.progress().total > 0 && task.progress().current === task.progress().total);
  task.cancel();
  expect(await failureOf(task.ended)).toEqual({
    code: 'engine_crashed',
    message: 'the block thread died: the disk of node disk0 does not answer',
  });
  await engine.save(savePlan('two', machineMemory())).ended;
  expect(engine.nodes()[0]?.snapshots.map(({ tag }) => tag)).toEqual(['two']);
});

/** A time limit that is long for a write and short for a test. */
const STALL_MS = 1000;

const HUNG = {
  code: 'engine_crashed',
  message: expect.stringMatching(
    /^the block thread died: the disk of node disk0 does not answer: writing \d+ bytes at \d+ did not end within 1000 ms/,
  ),
};

/** Writes of a save before the machine is captured. */
const UNTIL_CAPTURED = ['room', 'table', 'header', 'behind header'] as const;

describe('a disk that hangs at a write of a task', () => {
  /** A snapshot `kept`, and a function that starts a task which reaches this write. */
  async function stalling() {
    const rig = await startMortal({ diskStallMs: STALL_MS });
    const memory = machineMemory(2 ** 21);
    await rig.engine.save(savePlan('kept', memory)).ended;
    const begin = async <Task extends SnapshotTask>(task: Task, moment: Moment): Promise<Task> => {
      task.pause();
      await rig.tell(`stall ${moment}`);
      task.resume();
      return task;
    };
    const tags = () => rig.engine.nodes()[0]?.snapshots.map(({ tag }) => tag);
    const expectKept = async () => {
      const target = emptyMemory(2 ** 21);
      const task = rig.engine.load(loadPlan('kept', target));
      await task.loaded;
      task.cancel();
      await failureOf(task.ended);
      expect(ramOf(target).equals(ramOf(memory))).toBe(true);
      expect(tags()).toEqual(['kept']);
    };
    const expectClean = async () => {
      await rig.engine.close();
      expect(await check(rig.paths[0]!)).toEqual(CLEAN);
    };
    return { ...rig, begin, tags, expectKept, expectClean };
  }

  test('fails a save, and its changes are undone', async () => {
    const { engine, begin, expectKept, expectClean } = await stalling();
    for (const moment of combinations(UNTIL_CAPTURED, ['behind header'])) {
      const task = await begin(engine.save(savePlan('new', machineMemory(2 ** 21))), moment);
      // The guest does not wait for the repair.
      expect(await failureOf(task.captured)).toMatchObject(HUNG);
      expect(await failureOf(task.ended)).toMatchObject(HUNG);
      await expectKept();
    }
    // The guest has been resumed.
    const task = await begin(engine.save(savePlan('new', machineMemory(2 ** 21))), 'manifest');
    await task.captured;
    expect(await failureOf(task.ended)).toMatchObject(HUNG);
    await expectKept();
    await expectClean();
  });

  test('fails a load, and the disk is unchanged', async () => {
    const { engine, begin, expectKept, expectClean } = await stalling();
    const preparing = await begin(engine.load(loadPlan('kept', emptyMemory(2 ** 21))), 'now');
    expect(await failureOf(preparing.loaded)).toMatchObject(HUNG);
    await expectKept();
    const applying = await begin(engine.load(loadPlan('kept', emptyMemory(2 ** 21))), 'header');
    await applying.loaded;
    expect(await failureOf(applying.apply())).toMatchObject(HUNG);
    expect(await failureOf(applying.ended)).toMatchObject(HUNG);
    await expectKept();
    await expectClean();
  });

  test('fails a deletion, which can be repeated', async () => {
    const { engine, begin, tags, expectKept, expectClean } = await stalling();
    const stalled = async (moment: Moment) => {
      const task = await begin(engine.delete({ tag: 'kept', devices: ['disk0'] }), moment);
      expect(await failureOf(task.ended)).toMatchObject({ ...HUNG, left: true });
    };
    for (const moment of combinations(['now', 'header'], ['header'])) {
      await stalled(moment);
      await expectKept();
    }
    // Only decreased counts remain to be written then.
    await stalled('behind header');
    expect(tags()).toEqual([]);
    await engine.delete({ tag: 'kept', devices: ['disk0'] }).ended;
    await expectClean();
  });
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

describe('the disk of a guest', () => {
  function guest() {
    const { port1, port2 } = new MessageChannel();
    onTestFinished(() => port2.close());
    const slot = new DiskSlot();
    const control = new VcpuControl();
    const ask = async (operation: 'read' | 'write' | 'flush', offset = 0, bytes = 0): Promise<string | null> => {
      slot.submit({ operation, offset, bytes });
      port2.postMessage(0);
      for (;;) {
        const answer = slot.take();
        if (answer !== null) return answer.error;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    return { attachment: { port: port1, slot: slot.buffer, vcpuControl: control.buffer }, slot, ask };
  }

  test('stores data and reads it back', async () => {
    const { engine } = await startRig();
    const { attachment, slot, ask } = guest();
    engine.serveGuestDisk('disk0', attachment);
    slot.data.fill(7);
    expect(await ask('write', 123_456, 65536)).toBeNull();
    expect(await ask('flush')).toBeNull();
    slot.data.fill(0);
    expect(await ask('read', 123_456, 65536)).toBeNull();
    expect(slot.data.every((byte) => byte === 7)).toBe(true);
    expect(await ask('read', 2 ** 40, 512)).toMatch(/disk0\.qcow2/);
  });

  test('is loaded together with the machine', async () => {
    const { engine } = await startRig();
    const { attachment, slot, ask } = guest();
    engine.serveGuestDisk('disk0', attachment);
    slot.data.fill(1);
    await ask('write', 0, 4096);
    await engine.save(savePlan('one', machineMemory())).ended;
    slot.data.fill(2);
    await ask('write', 0, 4096);
    const task = engine.load(loadPlan('one', emptyMemory()));
    await task.loaded;
    await ask('read', 0, 4096);
    expect(slot.data[0]).toBe(2);
    await task.apply();
    task.release();
    await task.ended;
    await ask('read', 0, 4096);
    expect(slot.data[0]).toBe(1);
  });

  test('is served again after the thread died', async () => {
    const { engine, tell } = await startMortal();
    const { attachment, slot, ask } = guest();
    engine.serveGuestDisk('disk0', attachment);
    slot.data.fill(3);
    expect(await ask('write', 0, 4096)).toBeNull();
    expect(await ask('flush')).toBeNull();
    const task = engine.save(savePlan('one', machineMemory()));
    task.pause();
    void tell('die');
    const reading = ask('read', 0, 4096);
    await failureOf(task.ended);
    expect(await reading).toBeNull();
    slot.data.fill(0);
    expect(await ask('read', 0, 4096)).toBeNull();
    expect(slot.data[0]).toBe(3);
  });
});
