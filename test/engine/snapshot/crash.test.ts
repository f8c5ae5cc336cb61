import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DiskSlot } from '../../../src/engine/memory/disk-slot.ts';
import { VcpuControl } from '../../../src/engine/memory/vcpu-control.ts';
import { temporaryDirectory } from '../../helpers/app.ts';
import { CLEAN, check } from '../../helpers/qcow2/tools.ts';
import { emptyMemory, failureOf, loadPlan, machineMemory, ramOf, savePlan, startRig } from './rig.ts';

const WORKER = new URL('../../helpers/workers/mortal-block-thread.ts', import.meta.url);

/** An engine whose thread can be told to die or to hang. */
async function startMortal(hangMsMax = 20_000) {
  const order = join(temporaryDirectory(), 'order');
  process.env.VMFERRY_TEST_BLOCK_THREAD_ORDER = order;
  onTestFinished(() => void delete process.env.VMFERRY_TEST_BLOCK_THREAD_ORDER);
  const rig = await startRig(1, { workerUrl: WORKER, hangMsMax });
  const tell = (what: 'die' | 'hang' | 'stall') => {
    // There at once and whole.
    writeFileSync(`${order}.new`, what);
    renameSync(`${order}.new`, order);
  };
  return { ...rig, order, tell };
}

describe('a block thread that dies', () => {
  test('fails what was under way, and the next task finds the images open again', async () => {
    const { engine, paths, reports, tell } = await startMortal();
    const memory = machineMemory();
    await engine.save(savePlan('before', memory)).ended;
    const task = engine.save(savePlan('one', machineMemory()));
    task.pause();
    tell('die');
    const error = await failureOf(task.ended);
    expect(error).toMatchObject({ code: 'engine_crashed', message: 'the block thread died: told to die' });
    const target = emptyMemory();
    const loading = engine.load(loadPlan('before', target));
    await loading.loaded;
    loading.cancel();
    await failureOf(loading.ended);
    expect(ramOf(target).equals(ramOf(memory))).toBe(true);
    expect(engine.nodes()[0]?.snapshots.map(({ tag }) => tag)).toEqual(['before']);
    expect(reports).toContain('Error: the block thread died: told to die');
    await engine.close();
    expect(await check(paths[0]!)).toEqual(CLEAN);
  });

  test('once a snapshot was taken leaves none, and the guest did not wait for that', async () => {
    const { engine, paths, tell } = await startMortal();
    const task = engine.save(savePlan('one', machineMemory()));
    await task.captured;
    task.pause();
    tell('die');
    const ended = await task.ended.then(
      () => 'completed',
      ({ code }) => code,
    );
    // The pause may have come when the task had passed its last step.
    const tags = ended === 'completed' ? ['one'] : [];
    expect(['completed', 'engine_crashed']).toContain(ended);
    expect(engine.nodes()[0]?.snapshots.map(({ tag }) => tag)).toEqual(tags);
    await engine.close();
    expect(await check(paths[0]!)).toEqual(CLEAN);
  });

  test('in a deletion leaves what the next start finishes', async () => {
    const { engine, tell } = await startMortal();
    await engine.save(savePlan('one', machineMemory())).ended;
    const task = engine.delete({ tag: 'one', devices: ['disk0'] });
    task.pause();
    tell('die');
    expect(await failureOf(task.ended)).toMatchObject({
      code: 'engine_crashed',
      message: expect.stringContaining("'one'"),
      left: true,
    });
  });

  test('in a save, and finds an image gone, says what is left', async () => {
    const { engine, paths, tell } = await startMortal();
    const task = engine.save(savePlan('one', machineMemory()));
    task.pause();
    rmSync(paths[0]!);
    tell('die');
    expect(await failureOf(task.ended)).toMatchObject({
      code: 'engine_crashed',
      message: expect.stringMatching(/'one'.*disk0/),
      left: true,
    });
  });

  test('is noticed when it only stands still', async () => {
    const { engine, tell } = await startMortal(5000);
    const task = engine.save(savePlan('one', machineMemory()));
    task.pause();
    tell('hang');
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

test('a disk that takes nothing any more does not keep a save that was cancelled', async () => {
  const { engine, order, tell } = await startMortal();
  const task = engine.save(savePlan('one', machineMemory(2 ** 21)));
  task.pause();
  tell('stall');
  await until(() => !existsSync(order));
  task.resume();
  // All of it is staged, and waits for the disk.
  await until(() => task.progress().total > 0 && task.progress().current === task.progress().total);
  task.cancel();
  expect(await failureOf(task.ended)).toEqual({
    code: 'engine_crashed',
    message: 'the block thread died: the disk of node disk0 takes nothing any more',
  });
  await engine.save(savePlan('two', machineMemory())).ended;
  expect(engine.nodes()[0]?.snapshots.map(({ tag }) => tag)).toEqual(['two']);
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

describe("a guest's disk", () => {
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

  test('takes what is written and gives it back', async () => {
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

  test('goes back with the machine', async () => {
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
    tell('die');
    const reading = ask('read', 0, 4096);
    await failureOf(task.ended);
    expect(await reading).toBeNull();
    slot.data.fill(0);
    expect(await ask('read', 0, 4096)).toBeNull();
    expect(slot.data[0]).toBe(3);
  });
});
