// A short life of an image. After every write, and within the long ones, the file is checked as a crash would leave
// it: qemu-img must find at most leaked clusters, and flushed data must be readable.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Image, ImageSnapshot } from '../../../src/block/image.ts';
import { createImage, openImageFile } from '../../../src/block/qcow2/open-image.ts';
import { checked, pattern, snapshotNamed, temporaryFolder } from '../../block/images.ts';
import { LoggedFile } from '../../block/logged-file.ts';
import { randomNumbers } from './damage.ts';

const BLOCK = 512;
const DISK_BYTES = 1024 * BLOCK;
const VM_STATE = pattern(40_000, 77);

/** What a block of the disk may hold: what was flushed last, and what was written since. */
class Expected {
  blocks: Set<number>[] = Array.from({ length: DISK_BYTES / BLOCK }, () => new Set([0]));
  /** Of each snapshot by name. */
  readonly snapshots = new Map<string, number[]>();

  write(first: number, blocks: number, value: number): void {
    for (const values of this.blocks.slice(first, first + blocks)) {
      values.delete(value);
      values.add(value);
    }
  }

  flushed(): void {
    this.blocks = this.blocks.map((values) => new Set([[...values].at(-1)!]));
  }

  values(): number[] {
    return this.blocks.map((values) => [...values].at(-1)!);
  }
}

/** Writes, discards, snapshots, loads, a compaction; `expected` always knows what a crash may leave. */
async function live(image: Image, expected: Expected): Promise<void> {
  let value = 0;
  const write = async (first: number, blocks: number) => {
    value += 1;
    expected.write(first, blocks, value);
    await image.write(first * BLOCK, Buffer.alloc(blocks * BLOCK, value));
  };
  const flush = async () => {
    await image.flush();
    expected.flushed();
  };
  const snapshot = async (name: string, vmState: boolean): Promise<ImageSnapshot> => {
    if (vmState) await (await image.beginVmState()).append(VM_STATE);
    await flush();
    expected.snapshots.set(name, expected.values());
    return image.createSnapshot(snapshotNamed(name, { vmStateBytes: vmState ? VM_STATE.length : 0 }));
  };
  const apply = async (name: string, outcome: 'release' | 'revert') => {
    await flush();
    const before = expected.values();
    const prepared = await image.prepareApply(image.snapshots.find((one) => one.name === name)!.id);
    const after = expected.snapshots.get(name)!;
    expected.blocks = before.map((one, block) => new Set([one, after[block]!]));
    await prepared.commit();
    await prepared[outcome]();
    const now = outcome === 'release' ? after : before;
    expected.blocks = now.map((one) => new Set([one]));
  };
  await write(0, 20);
  await write(100, 300);
  await flush();
  const first = await snapshot('first', true);
  await write(3, 2);
  await write(110, 40);
  expected.write(256, 128, 0);
  await image.discard(256 * BLOCK, 128 * BLOCK);
  await flush();
  await write(900, 60);
  const second = await snapshot('second', false);
  await write(0, 500);
  await apply('first', 'revert');
  await apply('first', 'release');
  await write(50, 10);
  await image.deleteSnapshot(first.id);
  await write(120, 200);
  await snapshot('third', true);
  await image.deleteSnapshot(second.id);
  await write(0, 1000);
  await flush();
  await image.deleteSnapshot(image.snapshots.find(({ name }) => name === 'third')!.id);
  await write(700, 30);
  await snapshot('last', true);
  await write(0, 40);
  expected.write(256, 384, 0);
  await image.discard(256 * BLOCK, 384 * BLOCK);
  await flush();
  await image.compact({ addTotal: () => {}, addCurrent: () => {}, breathe: async () => {} });
  await write(310, 20);
  await flush();
}

async function faultsOf(image: Image, expected: Expected): Promise<string[]> {
  const faults: string[] = [];
  const disk = Buffer.alloc(DISK_BYTES);
  await image.read(0, disk);
  expected.blocks.forEach((values, block) => {
    const found = disk[block * BLOCK]!;
    if (!values.has(found)) faults.push(`block ${block} holds ${found}, not one of ${[...values]}`);
  });
  for (const { id, name, vmStateBytes } of image.snapshots) {
    const reader = await image.openSnapshot(id);
    await reader.readDisk(0, disk);
    const found = Array.from({ length: DISK_BYTES / BLOCK }, (_, block) => disk[block * BLOCK]);
    if (String(found) !== String(expected.snapshots.get(name))) faults.push(`the disk of ${name} is another one`);
    const vmState = Buffer.alloc(vmStateBytes);
    await reader.readVmState(0, vmState);
    if (!vmState.equals(VM_STATE.subarray(0, vmStateBytes))) faults.push(`the VM state of ${name} is another one`);
  }
  return faults;
}

/** @returns what is wrong with an image that a crash left. */
async function judge(content: Buffer, expected: Expected, path: string | null): Promise<string[]> {
  const faults: string[] = [];
  if (path !== null) {
    writeFileSync(path, content);
    const verdict = await checked(path);
    if (verdict !== 'clean' && verdict !== 'leaks') faults.push(verdict);
  }
  const file = new LoggedFile(content);
  const image = await openImageFile(file, { readOnly: false, identity: 'crashed' });
  if (image.repaired !== null && image.repaired.correctedEntries > 0) faults.push('counts or flags were wrong');
  faults.push(...(await faultsOf(image, expected)));
  await image.close();
  const again = await openImageFile(new LoggedFile(file.content()), { readOnly: false, identity: 'repaired' });
  if (again.repaired !== null) faults.push(`the repair left ${JSON.stringify(again.repaired)}`);
  return faults;
}

/** The file as a crash would leave it, and what it may hold then. */
export type State = { readonly content: Buffer; readonly expected: Expected };

/** Every state that a process leaves which dies between two writes. */
export function crashStates(clusterBits: number): Promise<State[]> {
  return statesOf(clusterBits, (_file, content) => content());
}

/** The same for a power failure, which keeps some of what was not flushed; the same part each time. */
export function powerFailureStates(clusterBits: number): Promise<State[]> {
  const random = randomNumbers(clusterBits);
  return statesOf(clusterBits, (file) => file.contentAfterPowerFailure(() => random() < 0.5));
}

async function statesOf(
  clusterBits: number,
  take: (file: LoggedFile, content: () => Buffer) => Buffer,
): Promise<State[]> {
  const path = join(temporaryFolder(), 'disk.qcow2');
  await createImage(path, { diskBytes: DISK_BYTES, clusterBits });
  const file = new LoggedFile(readFileSync(path));
  const expected = new Expected();
  const states: State[] = [];
  file.onState = (content) => {
    const now = new Expected();
    now.blocks = expected.blocks.map((values) => new Set(values));
    for (const [name, values] of expected.snapshots) now.snapshots.set(name, values);
    states.push({ content: take(file, content), expected: now });
  };
  const image = await openImageFile(file, { readOnly: false, identity: 'alive' });
  await live(image, expected);
  await image.close();
  states.push({ content: file.content(), expected });
  return states;
}

/** Our judgement of every state, QEMU's of so many: a process for each takes long. @returns what is wrong. */
export async function judgeAll(states: readonly State[], qemuStatesMax: number): Promise<string[]> {
  const path = join(temporaryFolder(), 'crashed.qcow2');
  const every = Math.ceil(states.length / qemuStatesMax);
  const faults: string[] = [];
  for (const [index, { content, expected }] of states.entries()) {
    const found = await judge(content, expected, index % every === 0 ? path : null);
    faults.push(...found.map((fault) => `state ${index} of ${states.length}: ${fault}`));
  }
  return faults;
}
