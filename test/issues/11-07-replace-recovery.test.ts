// A save that replaces a snapshot has several steps: it writes the new snapshot under a temporary name, renames it to
// the tag on one disk after another, and completes the job. If the last step could not be stored, the new snapshot
// was deleted after the old one was already gone. A disk that was missing at the next start was never repaired. A
// failure to rename left both snapshots.

import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openImageFile } from '../../src/block/qcow2/open-image.ts';
import type { JobRecord } from '../../src/domain/ports/store.ts';
import { checked, newImage, pattern, snapshotNamed } from '../block/images.ts';
import { LoggedFile } from '../block/logged-file.ts';
import { type FakeWorld, fakeDomain } from '../domain/fakes/fake-domain.ts';
import { BOTH, endOf, NODES, putBoth, reached, snapshotWorld } from '../domain/snapshots/world.ts';
import { MemoryBlocks, type Step } from '../helpers/memory-blocks.ts';
import { openMemoryStore } from '../helpers/memory-store.ts';

const REPLACE = { jobId: 'j', tag: 'warm', ...BOTH, existing: 'replace' } as const;
const OLD_MS = 1_600_000_000_000;

/** A world whose store outlives it, with an old snapshot on both disks. */
function oldWorld(): FakeWorld {
  const store = openMemoryStore();
  onTestFinished(() => store.close());
  const world = snapshotWorld({ store });
  for (const node of NODES) world.blocks.put(node, { tag: 'warm', dateMs: OLD_MS, vmStateBytes: 1 });
  return world;
}

/** The disks of a killed process. `have` names the disks of the next start. */
function disksOf({ blocks }: FakeWorld, have: readonly string[] = NODES): MemoryBlocks {
  const left = new MemoryBlocks(have.map((name) => ({ name })));
  for (const { name, snapshots } of blocks.nodes()) {
    if (have.includes(name)) for (const one of snapshots) left.put(name, one);
  }
  return left;
}

/** Starts again on these disks. @returns the tags and dates of the snapshots of each disk. */
async function startAgain({ store }: FakeWorld, blocks: MemoryBlocks) {
  const { domain, faults } = fakeDomain({ store, blocks });
  await domain.recovered();
  expect(faults).toEqual([]);
  await domain.close();
  return blocks.nodes().map(({ snapshots }) => snapshots.map(({ tag, dateMs }) => [tag, dateMs]));
}

describe('after a kill -9', () => {
  test.each(['save', 'digests', 'rename'] as const)(
    'at step %s all disks have the same one of the two snapshots',
    async (step) => {
      const world = oldWorld();
      world.blocks.hold(step);
      world.domain.snapshots.save(REPLACE);
      await expect.poll(() => world.blocks.log.some((line) => line.startsWith(step)), { interval: 1 }).toBe(true);
      const dateMs = step === 'rename' ? world.blocks.saves[0]!.dateMs : OLD_MS;
      const expected = [[['warm', dateMs]], [['warm', dateMs]]];
      expect(await startAgain(world, disksOf(world))).toEqual(expected);
      expect(world.store.jobs.get('j')).toMatchObject({ outcome: 'failed', phase: null, durationMs: 0 });
      expect(await startAgain(world, disksOf(world))).toEqual(await startAgain(world, disksOf(world)));
    },
  );

  test.each([0, 1, 2])(
    'when %i disks had the new snapshot, the other disks get it at the next start',
    async (renamed) => {
      const world = oldWorld();
      world.blocks.hold('rename');
      world.domain.snapshots.save(REPLACE);
      await reached(world, 'rename', 'warm');
      const { tag, dateMs } = world.blocks.saves[0]!;
      const left = disksOf(world);
      await left.rename({ tag, as: 'warm', dateMs, devices: NODES.slice(0, renamed) }).ended;
      expect(await startAgain(world, left)).toEqual([[['warm', dateMs]], [['warm', dateMs]]]);
    },
  );

  test.each(['digests', 'rename'] as const)(
    'at step %s a disk that is missing at the first start is repaired when it is present again',
    async (step) => {
      const world = oldWorld();
      world.blocks.hold(step);
      world.domain.snapshots.save(REPLACE);
      await expect.poll(() => world.blocks.log.some((line) => line.startsWith(step)), { interval: 1 }).toBe(true);
      const dateMs = step === 'rename' ? world.blocks.saves[0]!.dateMs : OLD_MS;
      const [first, second] = [disksOf(world, ['disk0']), disksOf(world, ['disk1'])];
      expect(await startAgain(world, first)).toEqual([[['warm', dateMs]]]);
      expect(await startAgain(world, second)).toEqual([[['warm', dateMs]]]);
      expect(world.store.jobs.get('j')).toMatchObject({ outcome: 'failed' });
    },
  );
});

/** Makes every write of a job in this phase fail. */
function failAtPhase({ store }: FakeWorld, phase: string): void {
  const save = store.jobs.save.bind(store.jobs);
  Object.assign(store.jobs, {
    save: (record: JobRecord) => {
      if (record.phase === phase) throw new Error('the disk is full');
      save(record);
    },
  });
}

describe('without a crash', () => {
  test('the new snapshot stays if the last phase cannot be stored', async () => {
    const world = snapshotWorld();
    putBoth(world, 'warm');
    failAtPhase(world, 'done');
    await endOf(world, world.domain.snapshots.save(REPLACE));
    expect(NODES.map((node) => world.blocks.tags(node))).toEqual([['warm'], ['warm']]);
    expect(world.domain.snapshots.get('warm').dateMs).toBe(world.blocks.saves[0]?.dateMs);
  });

  test('the old snapshot stays if a phase cannot be stored or the tag cannot be renamed', async () => {
    for (const step of ['phase', 'no_space', 'image_io_error'] as const) {
      const world = oldWorld();
      if (step === 'phase') failAtPhase(world, 'rename');
      else world.blocks.failures.set('rename', { code: step, message: 'It cannot be written.' });
      const job = await endOf(world, world.domain.snapshots.save(REPLACE));
      expect(job).toMatchObject({ outcome: 'failed', phase: null });
      expect(await startAgain(world, disksOf(world))).toEqual([[['warm', OLD_MS]], [['warm', OLD_MS]]]);
      expect(world.domain.machine.status()).toEqual({ running: true, status: 'running' });
    }
  });

  test.each(['engine_crashed', 'no_space'])('renaming is tried again if it failed with %s', async (code) => {
    const world = oldWorld();
    if (code === 'no_space') Object.assign(world.store.reserve, { free: () => true, keep: () => {} });
    const { blocks } = world;
    blocks.failures.set('rename', { code, message: 'It was not written.' } as never);
    const reach = blocks.reach.bind(blocks);
    blocks.reach = async (task, step: Step) => {
      await reach(task, step).finally(() => step === 'rename' && blocks.failures.clear());
    };
    expect(await endOf(world, world.domain.snapshots.save(REPLACE))).toMatchObject({ outcome: 'completed' });
    expect(blocks.log.filter((line) => line === 'rename warm')).toHaveLength(2);
    expect(NODES.map((node) => blocks.tags(node))).toEqual([['warm'], ['warm']]);
  });
});

test('a crash after any write of the replacement leaves the old or the new snapshot intact in the image', async () => {
  const made = await newImage();
  const states = new Map([
    ['warm', pattern(40_000, 1)],
    ['.new', pattern(50_000, 2)],
  ]);
  for (const [index, [name, state]] of [...states].entries()) {
    await made.write(0, pattern(100_000, 3 + index));
    await (await made.beginVmState()).append(state);
    await made.createSnapshot(snapshotNamed(name, { vmStateBytes: state.length, dateMs: OLD_MS + index }));
  }
  const { path } = made;
  await made.close();
  const file = new LoggedFile(readFileSync(path));
  const image = await openImageFile(file, { readOnly: false, identity: 'alive' });
  const contents: Buffer[] = [];
  file.onState = (content) => contents.push(content());
  const [old, fresh] = image.snapshots;
  await image.renameSnapshot(fresh!.id, { name: 'warm', inPlaceOf: [old!.id] });
  await image.close();
  contents.push(file.content());
  expect(contents.length).toBeGreaterThan(5);
  const seen = new Set<string>();
  for (const content of contents) {
    const crashed = await openImageFile(new LoggedFile(content), { readOnly: false, identity: 'crashed' });
    seen.add(crashed.snapshots.map(({ name, dateMs }) => `${name}@${dateMs - OLD_MS}`).join(' '));
    for (const { id, dateMs, vmStateBytes } of crashed.snapshots) {
      const [disk, state] = [Buffer.alloc(100_000), Buffer.alloc(vmStateBytes)];
      const reader = await crashed.openSnapshot(id);
      await reader.readDisk(0, disk);
      await reader.readVmState(0, state);
      expect(disk.equals(pattern(100_000, 3 + dateMs - OLD_MS))).toBe(true);
      expect(state.equals([...states.values()][dateMs - OLD_MS]!)).toBe(true);
    }
    await crashed.close();
  }
  expect([...seen]).toEqual(['warm@0 .new@1', 'warm@1']);
  writeFileSync(path, contents[Math.floor(contents.length / 2)]!);
  expect(['clean', 'leaks']).toContain(await checked(path));
});
