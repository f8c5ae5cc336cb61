import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openImage } from '../../../src/block/qcow2/open-image.ts';
import type { DamageReport, DigestReading, SnapshotError } from '../../../src/domain/ports/block-nodes.ts';
import { combinations } from '../../helpers/combinations.ts';
import { CLEAN, check, qemuWrite } from '../../helpers/qcow2/tools.ts';
import { shared } from '../../helpers/shared.ts';
import {
  copiesOf,
  damageFile,
  emptyMemory,
  failureOf,
  loadPlan,
  MEBIBYTE,
  machineMemory,
  newImages,
  pageAt,
  ramOf,
  savePlan,
  startOn,
} from './rig.ts';

type SnapshotPlace = { readonly area: 'vm-state' | 'disk'; readonly at: number };

/** A node with data on its disk, and a snapshot `one` of a machine. */
const saved = shared(async () => {
  const paths = await newImages(1);
  await qemuWrite(paths[0]!, 3 * 65536, Buffer.alloc(65536, 7));
  const { engine } = await startOn(paths);
  const memory = machineMemory();
  await engine.save(savePlan('one', memory)).ended;
  await engine.close();
  return { paths, memory, ram: ramOf(memory) };
});

/** An image with that snapshot, for one test. */
function savedImage(): string {
  return copiesOf(saved().paths)[0]!;
}

/** The file offset of a byte of the snapshot. */
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

/** What one engine says about the damaged snapshot of an image, which is valid after the load. */
type Findings = {
  readonly load: () => Promise<SnapshotError>;
  readonly verify: () => Promise<SnapshotError>;
  /** The stored digests of the node. */
  readonly digests: () => Promise<DigestReading | undefined>;
};

async function findingsOn(path: string): Promise<Findings> {
  const { engine } = await startOn([path]);
  return {
    load: async () => {
      const error = await failureOf(engine.load(loadPlan('one', emptyMemory())).loaded);
      expect(await check(path)).toEqual(CLEAN);
      return error;
    },
    verify: () => failureOf(engine.verify({ tag: 'one', vmState: 'disk0', devices: ['disk0'] }).ended),
    digests: async () => (await engine.digests({ tag: 'one', devices: ['disk0'] }).ended)[0],
  };
}

describe('a byte that differs from the stored one', () => {
  const pages = [
    { name: 'video.ram', block: 1, page: 10 },
    { name: 'main.ram', block: 0, page: 512 },
  ];

  test.each(combinations(pages, pages.slice(0, 1)))(
    'in a page of $name is named by load and verify',
    async ({ name, block, page }) => {
      const path = savedImage();
      const offset = page * 4096;
      const at = (await findInVmState(path, pageAt(saved().memory, block, offset))) + 100;
      const fileAt = await placeInFile(path, { area: 'vm-state', at });
      damageFile(path, fileAt);
      const findings = await findingsOn(path);
      for (const error of [await findings.load(), await findings.verify()]) {
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
    },
  );

  test('in the device state is detected', async () => {
    const path = savedImage();
    const at = await findInVmState(path, Buffer.from('ticking'));
    damageFile(path, await placeInFile(path, { area: 'vm-state', at }));
    const error = await (await findingsOn(path)).load();
    expect(error).toMatchObject({ code: 'snapshot_damaged', damage: [{ ramBlock: null, area: 'vm-state' }] });
  });

  test('on the disk is detected, and the machine is not loaded', async () => {
    const path = savedImage();
    damageFile(path, await placeInFile(path, { area: 'disk', at: 3 * 65536 + 9 }));
    const expected = { area: 'disk', ramBlock: null, offset: 3 * 65536, bytes: 65536 };
    const findings = await findingsOn(path);
    expect(await findings.load()).toMatchObject({ code: 'snapshot_damaged', damage: [expected] });
    expect(await findings.verify()).toMatchObject({ code: 'snapshot_damaged', damage: [expected] });
  });

  test('in the digests themselves is detected, and nothing is loaded without them', async () => {
    const path = savedImage();
    const image = await openImage(path, { readOnly: true });
    const position = Number(Buffer.from(image.snapshots[0]!.extra).readBigUInt64BE(16));
    await image.close();
    damageFile(path, await placeInFile(path, { area: 'vm-state', at: position + 70 }));
    const findings = await findingsOn(path);
    const error = await findings.load();
    expect(error).toMatchObject({ code: 'snapshot_damaged', damage: [{ area: 'metadata' }] });
    expect(error.message).toContain('its SHA-256 is wrong');
    const fault = 'The digests cannot be used, its SHA-256 is wrong';
    expect(await findings.digests()).toEqual({ node: 'disk0', digests: null, fault });
  });
});

test('damage to the place of the digests in the snapshot table is detected, and nothing is loaded without them', async () => {
  const path = savedImage();
  damageFile(path, readFileSync(path).indexOf('FERRYSUM') + 2);
  const findings = await findingsOn(path);
  for (const error of [await findings.load(), await findings.verify()]) {
    expect(error).toMatchObject({ code: 'snapshot_damaged', damage: [{ node: 'disk0', area: 'metadata' }] });
  }
  const fault = 'The digests cannot be used, the snapshot table does not say where they are';
  expect(await findings.digests()).toEqual({ node: 'disk0', digests: null, fault });
});

describe('verifying', () => {
  test('reports the same digests of undamaged parts each time, and does not change the snapshot', async () => {
    const path = savedImage();
    const { engine } = await startOn([path]);
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
    // The same digests are returned without reading the data.
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
    // The snapshot is unchanged.
    const target = emptyMemory();
    const task = engine.load(loadPlan('one', target));
    await task.loaded;
    task.cancel();
    await failureOf(task.ended);
    expect(ramOf(target).equals(saved().ram)).toBe(true);
    expect(await check(path)).toEqual(CLEAN);
  });

  test('continues to the end and lists the first 64 damaged places', async () => {
    const path = savedImage();
    for (let piece = 0; piece < 5; piece += 1) {
      damageFile(path, await placeInFile(path, { area: 'vm-state', at: piece * 3 * 65536 + 5000 }));
    }
    damageFile(path, await placeInFile(path, { area: 'disk', at: 3 * 65536 }));
    const error = await (await findingsOn(path)).verify();
    expect(error.damage?.map(({ area }) => area)).toEqual(['ram', 'ram', 'ram', 'ram', 'ram', 'disk']);
    expect(error.message).toMatch(/, and at 5 more places\.$/);
  });
});
