import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openImage } from '../../../src/block/qcow2/open.ts';
import type { DamageReport, DigestReading, SnapshotError } from '../../../src/domain/snapshot-port.ts';
import { CLEAN, check, qemuWrite } from '../../helpers/qcow2/tools.ts';
import {
  damageFile,
  emptyMemory,
  failureOf,
  loadPlan,
  MEBIBYTE,
  machineMemory,
  pageAt,
  type Rig,
  ramOf,
  savePlan,
  startOn,
  startRig,
} from './rig.ts';

type SnapshotPlace = { readonly area: 'vm-state' | 'disk'; readonly at: number };

/** A node whose disk holds something, with a snapshot `one`; the engine is closed. */
async function savedImage(): Promise<{ readonly rig: Rig; readonly ram: Buffer }> {
  const first = await startRig();
  await first.engine.close();
  await qemuWrite(first.paths[0]!, 3 * 65536, Buffer.alloc(65536, 7));
  const rig = await startOn(first.paths);
  const memory = machineMemory();
  await rig.engine.save(savePlan('one', memory)).ended;
  await rig.engine.close();
  return { rig, ram: ramOf(memory) };
}

/** Where a byte of the snapshot lies in the file. */
async function placeInFile(path: string, { area, at }: SnapshotPlace): Promise<number> {
  const image = await openImage(path, { readOnly: true });
  const reader = await image.openSnapshot('1');
  const cluster = await (area === 'disk' ? reader.fileOffsetOfDisk(at) : reader.fileOffsetOfVmState(at));
  await image.close();
  if (cluster === null) throw new Error(`there is no cluster for byte ${at}`);
  return Math.floor(cluster / 65536) * 65536 + (at % 65536);
}

/** The offset in the VM state at which a piece of RAM is found. */
async function findInVmState(path: string, wanted: Uint8Array): Promise<number> {
  const image = await openImage(path, { readOnly: true });
  const reader = await image.openSnapshot('1');
  const stream = Buffer.alloc(reader.snapshot.vmStateBytes);
  await reader.readVmState(0, stream);
  await image.close();
  return stream.indexOf(wanted);
}

async function loadError(rig: Rig): Promise<SnapshotError> {
  const { engine } = await startOn(rig.paths);
  const error = await failureOf(engine.load(loadPlan('one', emptyMemory())).loaded);
  await engine.close();
  expect(await check(rig.paths[0]!)).toEqual(CLEAN);
  return error;
}

/** What is shown of the digests on a node. */
async function shownDigests(rig: Rig): Promise<DigestReading | undefined> {
  const { engine } = await startOn(rig.paths);
  const [reading] = await engine.digests({ tag: 'one', devices: ['disk0'] }).ended;
  await engine.close();
  return reading;
}

async function verifyError(rig: Rig): Promise<SnapshotError> {
  const { engine } = await startOn(rig.paths);
  const error = await failureOf(engine.verify({ tag: 'one', vmState: 'disk0', devices: ['disk0'] }).ended);
  await engine.close();
  return error;
}

describe('a byte that is not what was stored', () => {
  test.each([
    { name: 'main.ram', block: 0, page: 512 },
    { name: 'video.ram', block: 1, page: 10 },
  ])('in a page of $name is found and named by both load and verify', async ({ name, block, page }) => {
    const first = await startRig();
    const memory = machineMemory();
    await first.engine.save(savePlan('one', memory)).ended;
    await first.engine.close();
    const offset = page * 4096;
    const at = (await findInVmState(first.paths[0]!, pageAt(memory, block, offset))) + 100;
    const fileAt = await placeInFile(first.paths[0]!, { area: 'vm-state', at });
    damageFile(first.paths[0]!, fileAt);
    for (const error of [await loadError(first), await verifyError(first)]) {
      expect(error.code).toBe('snapshot_damaged');
      expect(error.message).toContain(`Snapshot 'one' is damaged`);
      expect(error.message).toContain(`RAM block '${name}'`);
      const [report] = error.damage as [DamageReport];
      expect(report).toMatchObject({ node: 'disk0', ramBlock: name, area: 'ram' });
      expect(report.offset).toBeLessThanOrEqual(offset);
      expect(report.offset + report.bytes).toBeGreaterThan(offset);
      expect(report.bytes).toBeLessThanOrEqual(34 * 4096);
      expect(report.fileOffset).toBe(Math.floor(fileAt / 65536) * 65536);
      expect(error.damage).toHaveLength(1);
    }
  });

  test('in the device state is found', async () => {
    const { rig } = await savedImage();
    const at = await findInVmState(rig.paths[0]!, Buffer.from('ticking'));
    damageFile(rig.paths[0]!, await placeInFile(rig.paths[0]!, { area: 'vm-state', at }));
    const error = await loadError(rig);
    expect(error).toMatchObject({ code: 'snapshot_damaged', damage: [{ ramBlock: null, area: 'vm-state' }] });
  });

  test('on the disk is found, and the machine is not loaded either', async () => {
    const { rig } = await savedImage();
    damageFile(rig.paths[0]!, await placeInFile(rig.paths[0]!, { area: 'disk', at: 3 * 65536 + 9 }));
    const expected = { area: 'disk', ramBlock: null, offset: 3 * 65536, bytes: 65536 };
    expect(await loadError(rig)).toMatchObject({ code: 'snapshot_damaged', damage: [expected] });
    expect(await verifyError(rig)).toMatchObject({ code: 'snapshot_damaged', damage: [expected] });
  });

  test('in the digests themselves is found, and nothing is loaded without them', async () => {
    const { rig } = await savedImage();
    const image = await openImage(rig.paths[0]!, { readOnly: true });
    const position = Number(Buffer.from(image.snapshots[0]!.extra).readBigUInt64BE(16));
    await image.close();
    damageFile(rig.paths[0]!, await placeInFile(rig.paths[0]!, { area: 'vm-state', at: position + 70 }));
    const error = await loadError(rig);
    expect(error).toMatchObject({ code: 'snapshot_damaged', damage: [{ area: 'metadata' }] });
    expect(error.message).toContain('its SHA-256 is wrong');
    const fault = 'The digests cannot be used, its SHA-256 is wrong';
    expect(await shownDigests(rig)).toEqual({ node: 'disk0', digests: null, fault });
  });
});

test('damage where the snapshot table says where its digests are is found, and nothing is loaded without them', async () => {
  const { rig } = await savedImage();
  damageFile(rig.paths[0]!, readFileSync(rig.paths[0]!).indexOf('FERRYSUM') + 2);
  for (const error of [await loadError(rig), await verifyError(rig)]) {
    expect(error).toMatchObject({ code: 'snapshot_damaged', damage: [{ node: 'disk0', area: 'metadata' }] });
  }
  const fault = 'The digests cannot be used, the snapshot table does not say where they are';
  expect(await shownDigests(rig)).toEqual({ node: 'disk0', digests: null, fault });
});

describe('verifying', () => {
  test('tells the digests of what is whole, the same each time', async () => {
    const { rig } = await savedImage();
    const { engine } = await startOn(rig.paths);
    const plan = { tag: 'one', vmState: 'disk0', devices: ['disk0'] };
    const result = await engine.verify(plan).ended;
    expect(result.hadDigests).toBe(true);
    expect(result.digests.map(({ kind, name }) => [kind, name])).toEqual([
      ['ram-block', 'main.ram'],
      ['ram-block', 'video.ram'],
      ['device-state', 'disk0'],
      ['disk', 'disk0'],
    ]);
    for (const { digest } of result.digests) expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(result.digests.map(({ digest }) => digest)).size).toBe(4);
    expect(result.checkedBytes).toBe((engine.nodes()[0]?.snapshots[0]?.vmStateBytes ?? 0) + 65536);
    expect(await engine.verify(plan).ended).toEqual(result);
    // The same are shown without reading what they are of.
    const [reading] = await engine.digests(plan).ended;
    const { ramBlocks, deviceState, disk } = reading?.digests ?? {};
    expect(ramBlocks?.map(({ name, bytes }) => [name, bytes])).toEqual([
      ['main.ram', 5 * MEBIBYTE],
      ['video.ram', 256 * 1024],
    ]);
    const shown = [...(ramBlocks ?? []).map(({ digest }) => digest), deviceState, disk];
    expect(shown).toEqual(result.digests.map(({ digest }) => digest));
    expect(reading?.fault).toBeNull();
    const [gone] = await engine.digests({ ...plan, tag: 'none' }).ended;
    expect(gone).toMatchObject({ digests: null, fault: expect.stringContaining('the snapshot was deleted') });
  });

  test('goes on to the end and lists every place, the first 64', async () => {
    const { rig } = await savedImage();
    const path = rig.paths[0]!;
    for (let piece = 0; piece < 5; piece += 1) {
      damageFile(path, await placeInFile(path, { area: 'vm-state', at: piece * 3 * 65536 + 5000 }));
    }
    damageFile(path, await placeInFile(path, { area: 'disk', at: 3 * 65536 }));
    const error = await verifyError(rig);
    expect(error.damage?.map(({ area }) => area)).toEqual(['ram', 'ram', 'ram', 'ram', 'ram', 'disk']);
    expect(error.message).toMatch(/, and at 5 more places\.$/);
  });

  test('changes nothing of the snapshot', async () => {
    const { rig, ram } = await savedImage();
    const { engine } = await startOn(rig.paths);
    await engine.verify({ tag: 'one', vmState: 'disk0', devices: ['disk0'] }).ended;
    const target = emptyMemory();
    const task = engine.load(loadPlan('one', target));
    await task.loaded;
    task.cancel();
    await failureOf(task.ended);
    expect(ramOf(target).equals(ram)).toBe(true);
    expect(await check(rig.paths[0]!)).toEqual(CLEAN);
  });
});
