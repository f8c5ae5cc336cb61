// A block engine on real images, and machines to save into them and to load from them.

import { randomFillSync } from 'node:crypto';
import { closeSync, copyFileSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createImage } from '../../../src/block/qcow2/open-image.ts';
import type { SnapshotError } from '../../../src/domain/ports/block-nodes.ts';
import { createGuestMemory } from '../../../src/engine/memory/guest-memory.ts';
import { DIRTY_LOG_ADDRESS, PAGE_BYTES } from '../../../src/engine/memory/layout.ts';
import type { GuestMemory, TransferDevice, TransferSource } from '../../../src/engine/memory/machine-state.ts';
import { createBlockEngine } from '../../../src/engine/snapshot/block-engine.ts';
import type { LoadPlan, SavePlan, ThreadedBlockEngine } from '../../../src/engine/snapshot/block-messages.ts';
import type { BlockEngineOptions } from '../../../src/engine/snapshot/block-worker.ts';
import { temporaryDirectory } from '../../helpers/app.ts';
import { whenOver } from '../../helpers/shared.ts';

export const MEBIBYTE = 2 ** 20;
export const DISK_BYTES = 8 * MEBIBYTE;

export type Rig = {
  readonly engine: ThreadedBlockEngine;
  /** Of the images, in the order of their nodes: disk0, disk1, … */
  readonly paths: readonly string[];
  /** The reports of the engine. */
  readonly reports: string[];
};

/** An engine with new images on so many nodes, closed after the test. */
export async function startRig(nodes = 1, options: Partial<BlockEngineOptions> = {}): Promise<Rig> {
  return startOn(await newImages(nodes), options);
}

/** @returns the paths of empty images for so many nodes. */
export async function newImages(nodes: number): Promise<readonly string[]> {
  const directory = temporaryDirectory();
  const paths = Array.from({ length: nodes }, (_, index) => join(directory, `disk${index}.qcow2`));
  for (const path of paths) await createImage(path, { diskBytes: DISK_BYTES });
  return paths;
}

/** @returns the paths of copies, in their order. */
export function copiesOf(paths: readonly string[]): readonly string[] {
  const directory = temporaryDirectory();
  return paths.map((path, index) => {
    const copy = join(directory, `disk${index}.qcow2`);
    copyFileSync(path, copy);
    return copy;
  });
}

/** An engine on existing images. */
export async function startOn(paths: readonly string[], options: Partial<BlockEngineOptions> = {}): Promise<Rig> {
  const reports: string[] = [];
  const engine = await createBlockEngine({
    nodes: paths.map((path, index) => ({ name: `disk${index}`, path, createBytes: null })),
    report: (error) => reports.push(String(error)),
    ...options,
  });
  whenOver(() => engine.close());
  return { engine, paths, reports };
}

/** Two RAM blocks in segments of 2 MiB; every second page is random, the rest were never written or hold zeros. */
export function machineMemory(ramBytes = 5 * MEBIBYTE): GuestMemory {
  const memory = emptyMemory(ramBytes);
  for (const [index, block] of memory.blocks.entries()) {
    for (let offset = 0; offset < block.bytes; offset += 2 * PAGE_BYTES) {
      randomFillSync(pageAt(memory, index, offset));
      markWritten(memory, index, offset);
    }
    // Written, and then zero again.
    markWritten(memory, index, PAGE_BYTES);
  }
  return memory;
}

export function emptyMemory(ramBytes = 5 * MEBIBYTE): GuestMemory {
  const blocks = [
    { name: 'main.ram', bytes: ramBytes },
    { name: 'video.ram', bytes: 256 * 1024 },
  ];
  return createGuestMemory(blocks, 2 * MEBIBYTE);
}

function extentAt(memory: GuestMemory, block: number, offset: number) {
  const extent = memory.blocks[block]?.extents.find(
    ({ blockOffset, bytes }) => offset >= blockOffset && offset < blockOffset + bytes,
  );
  if (extent === undefined) throw new RangeError(`block ${block} has no offset ${offset}`);
  const segment = memory.segments[extent.segment]!;
  return { segment, address: extent.address + offset - extent.blockOffset };
}

export function pageAt(memory: GuestMemory, block: number, offset: number): Uint8Array {
  const { segment, address } = extentAt(memory, block, offset);
  return new Uint8Array(segment.buffer, address, PAGE_BYTES);
}

function markWritten(memory: GuestMemory, block: number, offset: number): void {
  const { segment, address } = extentAt(memory, block, offset);
  const first = extentAt(memory, 0, 0).address;
  const page = (address - first) / PAGE_BYTES;
  const log = new Uint8Array(segment.buffer, DIRTY_LOG_ADDRESS);
  log[page >> 3] = (log[page >> 3] ?? 0) | (1 << (page & 7));
}

/** All RAM, block after block. */
export function ramOf(memory: GuestMemory): Buffer {
  const pages = memory.blocks.flatMap((block, index) =>
    Array.from({ length: block.bytes / PAGE_BYTES }, (_, page) => pageAt(memory, index, page * PAGE_BYTES)),
  );
  return Buffer.concat(pages);
}

const MACHINE = 'test-machine-1.0';

function devices(text: string): TransferDevice[] {
  const body = new Uint8Array(new SharedArrayBuffer(16));
  body.set(Buffer.from(text));
  return [
    {
      idstr: 'clock',
      instanceId: 0,
      versionId: 1,
      fields: [{ name: 'all', type: 'buffer', bytes: 16 }],
      body,
    },
  ];
}

export function sourceOf(memory: GuestMemory, device = 'ticking'): TransferSource {
  return { machineName: MACHINE, memory, vcpuControl: null, state: { form: 'devices', devices: devices(device) } };
}

export function savePlan(tag: string, memory: GuestMemory, changes: Partial<SavePlan> = {}): SavePlan {
  return {
    tag,
    vmState: 'disk0',
    devices: ['disk0'],
    source: sourceOf(memory),
    globalState: 'running',
    detectsZeroPages: true,
    dateMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    clockNs: 123_456_789n,
    ...changes,
  };
}

export function loadPlan(tag: string, memory: GuestMemory, changes: Partial<LoadPlan> = {}): LoadPlan {
  return {
    tag,
    vmState: 'disk0',
    devices: ['disk0'],
    target: { form: 'devices', machineName: MACHINE, memory, devices: devices('') },
    capabilities: [],
    uuid: '',
    ...changes,
  };
}

/** The error of a task. @throws Error if the task succeeded. */
export async function failureOf(ended: Promise<unknown>): Promise<SnapshotError> {
  return ended.then(
    () => {
      throw new Error('it ended well');
    },
    (error: SnapshotError) => error,
  );
}

/** Inverts a byte of a file. */
export function damageFile(path: string, at: number): void {
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0xff;
  writeSync(fd, byte, 0, 1, at);
  closeSync(fd);
}
