// Save, change everything, load, and check that the loaded state equals the saved one, in each round.

import { expect } from 'vitest';
import type { Service } from '../guest-service.ts';
import { StreamWalker } from '../stream-walker.ts';
import { ImageMap } from './qcow2-map.ts';
import { listSnapshots } from './qemu-image.ts';
import { type Digest, expectCleanWhileQuiet, Snapshots } from './snapshot-client.ts';

/** Workloads after the save, so that the running guest differs completely from the saved one. */
const OTHER_WORK = [
  { pattern: 'seq', rate: 150_000_000 },
  { pattern: 'random', rate: 250_000_000 },
];
/**
 * Writes of the guest between save and load, at least. Not the rate that was asked for: the guest writes as fast as the
 * machine lets it, which may be less, and the faster it writes the sooner this is reached. `runRounds` tells what it was.
 */
const PAGES_WRITTEN_MIN = 2000;

export type RoundsSetup = {
  readonly service: Service;
  /** disk0 with the VM state, and then the other disks. */
  readonly images: readonly string[];
  readonly rounds: number;
  /** Also compare RAM byte for byte with a separate parser of the image; default: digests only. */
  readonly comparesBytes?: boolean;
};

/** The state of a guest at one moment, from HTTP. */
type Seen = { readonly ticks: number; readonly written: number; readonly work: unknown };

/**
 * Each round saves a running guest, lets it work on differently, and loads it; every image is checked at each step.
 * @returns pages that the guest wrote in a tick of 100 ms between save and load, of each round.
 */
export async function runRounds({ service, images, rounds, comparesBytes = false }: RoundsSetup): Promise<number[]> {
  const snapshots = new Snapshots(service);
  const rates: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const tag = `round-${round}`;
    const before = await look(service);
    await snapshots.does('save', tag);
    expect(await service.runState()).toBe('running');
    const after = await look(service);
    await expectCleanWhileQuiet(service, ...images);
    expectListed(images[0]!, tag);
    rates.push(await changeEverything(service, round, after));
    await loadAndCompare({ service, snapshots, tag, images, between: [before, after] });
    if (comparesBytes) expectSameRam(images[0]!, tag, `${tag}-again`);
    for (const old of [tag, `${tag}-again`]) {
      await snapshots.does('delete', old);
      await expectCleanWhileQuiet(service, ...images);
    }
    await service.expectRunning();
  }
  expect(await snapshots.tags()).toEqual([]);
  return rates;
}

type Loading = {
  readonly service: Service;
  readonly snapshots: Snapshots;
  readonly tag: string;
  readonly images: readonly string[];
  readonly between: readonly [Seen, Seen];
};

/** Loads with the guest paused, so that the loaded state does not change during the checks. */
async function loadAndCompare({ service, snapshots, tag, images, between }: Loading): Promise<void> {
  const [before, after] = between;
  await service.post('/stop');
  await snapshots.does('load', tag);
  await expectCleanWhileQuiet(service, ...images);
  expect(await service.runState()).toBe('paused');
  const loaded = await look(service);
  expect(loaded.ticks).toBeGreaterThanOrEqual(before.ticks);
  expect(loaded.ticks).toBeLessThanOrEqual(after.ticks);
  expect(loaded.written).toBeGreaterThanOrEqual(before.written);
  expect(loaded.written).toBeLessThanOrEqual(after.written);
  expect(loaded.work).toEqual(before.work);
  const ticks = await service.consoleTicks();
  expect(ticks.at(-1) ?? 0).toBe(loaded.ticks);
  await snapshots.does('save', `${tag}-again`);
  await expectCleanWhileQuiet(service, ...images);
  const [first, second] = [await snapshots.digests(tag), await snapshots.digests(`${tag}-again`)];
  expect(first.filter(isMemoryOrDisk).length).toBeGreaterThan(1);
  expect(second.filter(isMemoryOrDisk)).toEqual(first.filter(isMemoryOrDisk));
  await service.post('/cont');
  await service.expectRunning();
  const checked = (await service.guest())['pages-checked'];
  await expect.poll(async () => (await service.guest())['pages-checked'], { interval: 5 }).toBeGreaterThan(checked);
  expect(await service.consoleTicks()).toEqual(expect.arrayContaining(ticks.slice(-8)));
}

function expectSameRam(image: string, ...tags: readonly [string, string]): void {
  const map = new ImageMap(image);
  const [first, second] = tags.map((tag) => new StreamWalker(map.vmState(tag)).blocks);
  expect([...first!.keys()]).toEqual([...second!.keys()]);
  for (const [name, bytes] of first!) {
    expect(bytes.some((byte) => byte !== 0)).toBe(true);
    expect(bytes.equals(second!.get(name)!), name).toBe(true);
  }
}

function isMemoryOrDisk({ kind }: Digest): boolean {
  return kind !== 'device-state';
}

async function changeEverything(service: Service, round: number, since: Seen): Promise<number> {
  const body = OTHER_WORK[round % OTHER_WORK.length]!;
  expect((await service.call('/machine/workload', { method: 'PATCH', body })).status).toBe(200);
  let now = since;
  const isChanged = async (): Promise<boolean> => {
    now = await look(service);
    return now.ticks > since.ticks && now.written > since.written + PAGES_WRITTEN_MIN;
  };
  await expect.poll(isChanged, { timeout: 20_000, interval: 10 }).toBe(true);
  return (now.written - since.written) / (now.ticks - since.ticks);
}

async function look(service: Service): Promise<Seen> {
  const { ticks, panic, workload, ...guest } = await service.get<Readonly<Record<string, unknown>>>('/machine');
  expect(panic).toBeNull();
  return { ticks: Number(ticks), written: Number(guest['pages-written']), work: workload };
}

/** `qemu-img snapshot -l` shows it as QEMU's own: a size, a date of now, a clock. */
function expectListed(image: string, tag: string): void {
  const row = listSnapshots(image).find((candidate) => candidate.tag === tag);
  expect(row?.vmSize).toMatch(/^[\d.]+ [MG]iB$/);
  expect(Math.abs(Date.parse(row?.date ?? '') - Date.now())).toBeLessThan(5 * 60_000);
  expect(row?.clock).toMatch(/^\d{4}:\d\d:\d\d\.\d{3}$/);
  expect(row?.clock).not.toBe('0000:00:00.000');
}
