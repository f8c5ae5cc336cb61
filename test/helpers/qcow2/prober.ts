// A process that opens the given images, and reads and changes as much of them as possible. A hostile image can end
// this process only if the library has a fault. Run by prober-process.ts.

import { BlockError, type Image } from '../../../src/block/image.ts';
import { openImage } from '../../../src/block/qcow2/open-image.ts';
import type { Probe, ProbeResult } from './prober-process.ts';

const CHUNK_BYTES = 65_536;
const WHOLE_BYTES_MAX = 8 * 2 ** 20;
const SPOTS = 64;
const SNAPSHOTS_MAX = 32;
const STRETCHES_MAX = 20_000;

process.on('message', (probe: Probe) => {
  carryOut(probe).then((result) => process.send?.(result));
});

async function carryOut(probe: Probe): Promise<ProbeResult> {
  const before = process.cpuUsage();
  const outcome: Mutable<Pick<ProbeResult, 'refused' | 'errors' | 'foreign' | 'repaired'>> = {
    refused: null,
    errors: [],
    foreign: null,
    repaired: null,
  };
  try {
    const image = await openImage(probe.path, { readOnly: probe.readOnly });
    outcome.repaired = image.repaired;
    if (image.isReadOnly && !probe.readOnly) {
      outcome.refused = { code: 'image_read_only', message: image.readOnlyReason ?? 'no reason' };
    }
    try {
      const errors = await readEverything(image);
      outcome.errors = probe.change && !image.isReadOnly ? [...errors, ...(await changeEverything(image))] : errors;
    } finally {
      await image.close();
    }
  } catch (error) {
    if (error instanceof BlockError) outcome.refused = { code: error.code, message: error.message };
    else outcome.foreign = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const { user, system } = process.cpuUsage(before);
  const { rss, arrayBuffers } = process.memoryUsage();
  return { ...outcome, cpuMs: (user + system) / 1000, rssBytes: rss, arrayBufferBytes: arrayBuffers };
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** The codes of failed reads. @throws any error other than a BlockError */
async function readEverything(image: Image): Promise<string[]> {
  const errors: string[] = [];
  const attempt = collector(errors);
  await attempt(() => readSpots(image.diskBytes, (offset, into) => image.read(offset, into)));
  for (const { id, vmStateBytes, diskBytes } of image.snapshots.slice(0, SNAPSHOTS_MAX)) {
    await attempt(async () => {
      const reader = await image.openSnapshot(id);
      await attempt(() => readSpots(diskBytes, (offset, into) => reader.readDisk(offset, into)));
      await attempt(() => readSpots(vmStateBytes, (position, into) => reader.readVmState(position, into)));
      await attempt(async () => {
        let stretches = 0;
        for await (const { bytes } of reader.allocatedDisk()) {
          stretches += Math.sign(bytes);
          if (stretches === STRETCHES_MAX) break;
        }
      });
      for (const position of [0, Math.max(0, vmStateBytes - 1)])
        await attempt(() => reader.fileOffsetOfVmState(position));
      for (const offset of [0, Math.max(0, diskBytes - 1)]) await attempt(() => reader.fileOffsetOfDisk(offset));
    });
  }
  return errors;
}

/** All of a small disk, parts of a large one. */
async function readSpots(bytes: number, read: (offset: number, into: Uint8Array) => Promise<void>): Promise<void> {
  const step = bytes <= WHOLE_BYTES_MAX ? CHUNK_BYTES : Math.floor(bytes / SPOTS);
  for (let offset = 0; offset < bytes; offset += step) {
    await read(offset, new Uint8Array(Math.min(CHUNK_BYTES, bytes - offset)));
  }
  const last = Math.min(CHUNK_BYTES, bytes);
  if (last > 0) await read(bytes - last, new Uint8Array(last));
}

/** The operations of a service on an image. @returns the codes of refusals. @throws any error other than a BlockError */
async function changeEverything(image: Image): Promise<string[]> {
  const errors: string[] = [];
  const attempt = collector(errors);
  const { clusterBytes, diskBytes } = image;
  const chunk = (offset: number, bytes: number) =>
    attempt(() => image.write(offset, new Uint8Array(Math.max(0, Math.min(bytes, diskBytes - offset))).fill(0xd5)));
  await chunk(0, Math.min(3 * clusterBytes + 100, CHUNK_BYTES));
  await chunk(Math.max(0, diskBytes - 700), 700);
  await attempt(async () => {
    const writer = await image.beginVmState();
    await writer.append(new Uint8Array(Math.min(2 * clusterBytes, CHUNK_BYTES)).fill(0xd6));
  });
  const snapshot = {
    name: 'probe',
    dateMs: 1_700_000_000_000,
    clockNs: 1n,
    vmStateBytes: 100,
    extra: new Uint8Array(),
  };
  await attempt(() => image.createSnapshot(snapshot));
  await attempt(() => image.discard(0, Math.min(diskBytes, WHOLE_BYTES_MAX)));
  const [first] = image.snapshots;
  if (first !== undefined) {
    await attempt(async () => {
      const prepared = await image.prepareApply(first.id);
      await prepared.commit();
      await prepared.release();
    });
  }
  await chunk(Math.min(clusterBytes, diskBytes), 2 * clusterBytes);
  for (const { id } of image.snapshots.slice(0, SNAPSHOTS_MAX)) await attempt(() => image.deleteSnapshot(id));
  await attempt(() => image.flush());
  return errors;
}

function collector(errors: string[]): (action: () => Promise<unknown>) => Promise<void> {
  return async (action) => {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      errors.push(error.code);
    }
  };
}
