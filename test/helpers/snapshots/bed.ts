// A service in this process with its own images, and the checks after any failure.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { AppOptions } from '../../../src/app.ts';
import { temporaryDirectory } from '../app.ts';
import { type LocalService, localService } from '../guest-service.ts';
import { createImage, qemuTool, tagsOf } from './qemu-image.ts';
import { expectCleanWhileQuiet, type Job, Snapshots } from './snapshot-client.ts';

/** The content of the other disks and its position. */
export const DISK_PATTERN = { offset: 8 * 2 ** 20, bytes: 256 * 1024, value: 0x5a } as const;

export type Bed = {
  readonly service: LocalService;
  readonly snapshots: Snapshots;
  /** disk0 of the guest, and then the other disks. */
  readonly images: readonly string[];
  readonly data: string;
};

export type BedSetup = {
  readonly flags?: readonly string[];
  /** The number of disks besides the guest's; default 0. */
  readonly extraDisks?: number;
  /** The folder of the images; default: a folder that is removed after the test. */
  readonly imageDirectory?: string;
  readonly options?: AppOptions;
};

/** A small guest whose last quarter of RAM is noise, on images that QEMU made. */
export async function snapshotBed(setup: BedSetup = {}): Promise<Bed> {
  const data = temporaryDirectory();
  const images = makeImages(setup.imageDirectory ?? temporaryDirectory(), setup.extraDisks ?? 0);
  const service = await localService([...nodeFlags(images), ...(setup.flags ?? [])], {
    ...setup.options,
    data,
    hasDisk: true,
  });
  return { service, snapshots: new Snapshots(service), images, data };
}

/** `--blockdev` for each image: disk0, disk1, … */
export function nodeFlags(images: readonly string[]): string[] {
  return images.flatMap((path, index) => ['--blockdev', `disk${index}=${path}`]);
}

/** An empty image for the guest, and others with a pattern. */
export function makeImages(directory: string, extraDisks: number): string[] {
  const images = Array.from({ length: 1 + extraDisks }, (_, index) => join(directory, `disk${index}.qcow2`));
  const { offset, bytes, value } = DISK_PATTERN;
  for (const path of images) createImage(path);
  for (const path of images.slice(1)) {
    qemuTool('qemu-io', '-f', 'qcow2', '-c', `write -P ${value} ${offset} ${bytes}`, path);
  }
  return images;
}

/** Expects that the job ended with an error with one of these codes and a sentence. */
export function expectFailed(job: Job, ...codes: readonly string[]): void {
  expect(job, JSON.stringify(job)).toMatchObject({ status: 'concluded', error: expect.stringMatching(/\S+ \S+/) });
  expect(codes, JSON.stringify(job)).toContain(job['error-code']);
}

/** Expects a running guest, valid images with exactly these tags, and no other files. */
export async function expectUnharmed({ service, images, data }: Bed, tags: readonly string[]): Promise<void> {
  await service.expectRunning();
  await expectCleanWhileQuiet(service, ...images);
  for (const path of images) expect(tagsOf(path)).toEqual(tags);
  expect(readdirSync(data).filter((name) => !/^(.*\.db.*|reserve|files|disk0\.qcow2)$/.test(name))).toEqual([]);
}

/** Expects that another save and load succeed. */
export async function expectUsable({ service, snapshots, images }: Bed, devices?: readonly string[]): Promise<void> {
  const options = devices === undefined ? {} : { vmstate: 'disk0', devices };
  await snapshots.does('save', 'usable', options);
  await snapshots.does('verify', 'usable', options);
  await snapshots.does('load', 'usable', options);
  await snapshots.does('delete', 'usable', devices === undefined ? {} : { devices });
  await expectCleanWhileQuiet(service, ...images);
  await service.expectRunning();
}
