// Many concurrent requests on one image, including snapshots, and their expected results.

import { expect } from 'vitest';
import type { Image, SnapshotReader } from '../../../src/block/image.ts';
import { openImage } from '../../../src/block/qcow2/open-image.ts';
import { randomNumbers } from './damage.ts';
import { patterned } from './history.ts';
import { type Clock, SectorLog, sectorFault } from './sector-log.ts';
import { SECTOR_BYTES, STAMP_FIRST, stamped, stampReader, zeroStamp } from './stamps.ts';
import { CLEAN, check, qemuContent } from './tools.ts';

export type CrowdOptions = {
  /** The content of the disk, in whole sectors. */
  readonly first: Buffer;
  readonly requests: number;
  readonly atOnce: number;
  readonly seed: number;
  readonly mixture?: Mixture;
  /** The clock for moments, if it is shared. */
  readonly clock?: Clock;
};

const never = Number.POSITIVE_INFINITY;

/** Shares of all requests; the rest is writes. */
export type Mixture = Readonly<Record<Exclude<RequestName, 'write'>, number>>;
type RequestName = 'write' | 'discard' | 'read' | 'flush' | 'snapshot' | 'apply' | 'delete' | 'readSnapshot';

const MIXTURE: Mixture = {
  discard: 0.15,
  read: 0.25,
  flush: 0.03,
  snapshot: 0.015,
  apply: 0.006,
  delete: 0.01,
  readSnapshot: 0.03,
};

/** A snapshot with the moments of its request, its creation and the request of its deletion. */
export type TakenSnapshot = {
  readonly name: string;
  readonly moment: number;
  readonly vmState: Buffer;
  id: string;
  taken: number;
  deleted: number;
};

/** @returns how many requests of each kind were made. @throws AssertionError */
export async function runCrowd(path: string, options: CrowdOptions): Promise<Record<string, number>> {
  const image = await openImage(path);
  const crowd = new Crowd(image, options);
  try {
    await crowd.run();
    await image.flush();
    expect(await check(path)).toEqual(CLEAN);
    await crowd.checkEnd(path);
  } finally {
    await image.close();
  }
  expect(await check(path)).toEqual(CLEAN);
  return crowd.made;
}

export class Crowd {
  readonly made: Record<string, number> = {};
  readonly #image: Image;
  readonly #options: CrowdOptions;
  readonly #random: () => number;
  readonly log: SectorLog;
  /** All snapshots, including deleted ones. */
  readonly snapshots: TakenSnapshot[] = [];
  readonly #stampOf: (sector: number, bytes: Buffer) => number | null;
  #stamp = 1;
  #changing: Promise<void> | null = null;

  constructor(image: Image, options: CrowdOptions) {
    this.#image = image;
    this.#options = options;
    this.#random = randomNumbers(options.seed);
    this.log = new SectorLog(options.first.length / SECTOR_BYTES, options.clock);
    this.#stampOf = stampReader(options.first);
  }

  /** Keeps this number of requests in progress until all are done. */
  async run(): Promise<void> {
    const { requests, atOnce } = this.#options;
    const underWay = new Set<Promise<void>>();
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => {});
    for (let number = 0; number < requests; number += 1) {
      const request: Promise<void> = this.#request().finally(() => underWay.delete(request));
      request.catch(failed.reject);
      underWay.add(request);
      if (underWay.size >= atOnce) await Promise.race([failed.promise, ...underWay]);
    }
    await Promise.all(underWay);
  }

  /** Checks everything again, read by QEMU. */
  async checkEnd(path: string): Promise<void> {
    const whole = [{ offset: 0, bytes: this.#options.first.length }];
    const now = this.log.tick();
    expect(this.fault(await qemuContent(path, whole), 0, (sector) => this.log.allowed(sector, now, now))).toBeNull();
    for (const { id, name, moment } of this.#present()) {
      const allowed = (sector: number) => this.log.allowedAt(sector, moment);
      expect(this.fault(await qemuContent(path, whole, id), 0, allowed), `snapshot ${name}`).toBeNull();
    }
  }

  #request(): Promise<void> {
    let rest = this.#random();
    const mixture = Object.entries(this.#options.mixture ?? MIXTURE) as [RequestName, number][];
    const chosen = mixture.find(([, share]) => {
      rest -= share;
      return rest < 0;
    });
    const name = chosen === undefined ? 'write' : chosen[0];
    this.made[name] = (this.made[name] ?? 0) + 1;
    return this[name]();
  }

  async write(): Promise<void> {
    const { first, sectors } = this.#extent();
    this.#stamp += 1;
    const stamp = this.#stamp;
    const change = this.log.begin(first, new Array<number>(sectors).fill(stamp));
    await this.#image.write(first * SECTOR_BYTES, stamped(stamp, first, sectors));
    change.end();
  }

  async discard(): Promise<void> {
    const { first, sectors } = this.#extent();
    const perCluster = this.#image.clusterBytes / SECTOR_BYTES;
    const start = Math.ceil(first / perCluster) * perCluster;
    const isToEnd = first + sectors === this.log.sectors;
    const end = isToEnd ? first + sectors : Math.floor((first + sectors) / perCluster) * perCluster;
    const stamps = Array.from({ length: Math.max(0, end - start) }, (_, index) =>
      zeroStamp(this.#options.first, start + index),
    );
    const change = this.log.begin(start, stamps);
    await this.#image.discard(first * SECTOR_BYTES, sectors * SECTOR_BYTES);
    change.end();
  }

  async read(): Promise<void> {
    const { first, sectors } = this.#extent();
    const into = Buffer.alloc(sectors * SECTOR_BYTES, 0xaa);
    const began = this.log.tick();
    await this.#image.read(first * SECTOR_BYTES, into);
    const ended = this.log.tick();
    expect(
      this.fault(into, first, (sector) => this.log.allowed(sector, began, ended)),
      'read',
    ).toBeNull();
  }

  async flush(): Promise<void> {
    const began = this.log.tick();
    await this.#image.flush();
    this.log.stable(began, this.log.tick());
  }

  async snapshot(): Promise<void> {
    while (this.#changing !== null) await this.#changing;
    this.#changing = this.#takeSnapshot().finally(() => {
      this.#changing = null;
    });
    return this.#changing;
  }

  async #takeSnapshot(): Promise<void> {
    const vmState = patterned(Math.floor(this.#random() ** 2 * 3 * this.#image.clusterBytes), this.snapshots.length);
    const writer = await this.#image.beginVmState();
    await writer.append(vmState);
    const moment = this.log.tick();
    const taken = { name: `at ${moment}`, moment, vmState, id: '', taken: never, deleted: never };
    this.snapshots.push(taken);
    const row = { name: taken.name, dateMs: 0, clockNs: 0n, vmStateBytes: vmState.length, extra: new Uint8Array() };
    const { id } = await this.#image.createSnapshot(row);
    taken.id = id;
    taken.taken = this.log.tick();
    this.log.stable(moment, taken.taken);
  }

  /** Reads and writes go on meanwhile; snapshots are left alone until it is over, which is the caller's duty. */
  async apply(): Promise<void> {
    while (this.#changing !== null) await this.#changing;
    this.#changing = this.#applyOne().finally(() => {
      this.#changing = null;
    });
    return this.#changing;
  }

  #applyOne(): Promise<void> {
    return this.#withReader(async (reader, { id }) => {
      const held = Buffer.alloc(this.#options.first.length);
      await reader.readDisk(0, held);
      const stamps = Array.from({ length: this.log.sectors }, (_, sector) => {
        return this.#stampOf(sector, held.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES)) ?? STAMP_FIRST;
      });
      const prepared = await this.#image.prepareApply(id);
      const change = this.log.begin(0, stamps);
      await prepared.commit();
      change.end();
      this.log.stable(this.log.tick(), this.log.tick());
      await prepared.release();
    });
  }

  async delete(): Promise<void> {
    while (this.#changing !== null) await this.#changing;
    const [oldest] = this.#present();
    if (oldest === undefined) return;
    oldest.deleted = this.log.tick();
    await this.#image.deleteSnapshot(oldest.id);
  }

  async readSnapshot(): Promise<void> {
    const { first, sectors } = this.#extent();
    return this.#withReader(async (reader, { moment }) => {
      const into = Buffer.alloc(sectors * SECTOR_BYTES, 0xaa);
      await reader.readDisk(first * SECTOR_BYTES, into);
      expect(
        this.fault(into, first, (sector) => this.log.allowedAt(sector, moment)),
        'read of a snapshot',
      ).toBeNull();
    });
  }

  /** With a snapshot that may be deleted meanwhile: then, and only then, it may fail. */
  async #withReader(use: (reader: SnapshotReader, snapshot: TakenSnapshot) => Promise<void>): Promise<void> {
    const present = this.#present();
    const chosen = present[Math.floor(this.#random() * present.length)];
    if (chosen === undefined) return;
    try {
      await use(await this.#image.openSnapshot(chosen.id), chosen);
    } catch (error) {
      if ((error as { code?: string }).code !== 'snapshot_not_found' || chosen.deleted === never) throw error;
    }
  }

  /** The snapshots that certainly exist. */
  #present(): TakenSnapshot[] {
    return this.snapshots.filter(({ taken, deleted }) => taken !== never && deleted === never);
  }

  fault(bytes: Buffer, first: number, allowed: (sector: number) => Set<number>): string | null {
    return sectorFault(bytes, first, { stampOf: this.#stampOf, allowed });
  }

  #extent(): { first: number; sectors: number } {
    const total = this.log.sectors;
    const perCluster = this.#image.clusterBytes / SECTOR_BYTES;
    const first = Math.floor(this.#random() * total);
    const longest = Math.min(256, this.#random() < 0.2 ? 12 * perCluster : 3 * perCluster);
    return { first, sectors: Math.min(total - first, 1 + Math.floor(this.#random() * longest)) };
  }
}
