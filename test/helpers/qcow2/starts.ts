// Initial images for a history, a pair of each kind.

import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createImage } from '../../../src/block/qcow2/open-image.ts';
import { type DiskShape, patterned, type Start } from './history.ts';
import { qemuContent, qemuImg } from './tools.ts';

export const SHAPES: Readonly<Record<'tiny' | 'small' | 'usual', DiskShape>> = {
  // Many L1 entries.
  tiny: { clusterBits: 9, diskBytes: 200 * 1024 + 512, stretches: [{ offset: 0, bytes: 200 * 1024 + 512 }] },
  // Ends in the midst of a cluster.
  small: {
    clusterBits: 12,
    diskBytes: 4 * 2 ** 20 + 1536,
    stretches: [
      { offset: 0, bytes: 49_152 },
      { offset: 2 * 2 ** 20 - 20_480, bytes: 40_960 },
      { offset: 4 * 2 ** 20 - 16_384, bytes: 16_384 + 1536 },
    ],
  },
  usual: {
    clusterBits: 16,
    diskBytes: 513 * 2 ** 20 + 512,
    stretches: [
      { offset: 0, bytes: 6 * 65_536 },
      { offset: 512 * 2 ** 20 - 2 * 65_536, bytes: 4 * 65_536 },
      { offset: 513 * 2 ** 20 - 65_536, bytes: 65_536 + 512 },
    ],
  },
};

export const KINDS = [
  'empty',
  'raw backing file',
  'qcow2 backing file',
  'compressed',
  'counts of 8 bits, lazy',
] as const;
export type Kind = (typeof KINDS)[number];

const BACKING_BYTES = 70_144;

/** @param name of the pair: the files are named after it */
export async function startOf(directory: string, name: string, of: { shape: DiskShape; kind: Kind }): Promise<Start> {
  const { shape, kind } = of;
  const [ours, theirs] = [join(directory, `${name}-ours.qcow2`), join(directory, `${name}-theirs.qcow2`)];
  const total = shape.stretches.reduce((sum, { bytes }) => sum + bytes, 0);
  const size = String(shape.diskBytes);
  const cluster = `cluster_size=${2 ** shape.clusterBits}`;
  const create = async (path: string, options: string, ...more: string[]) => {
    await qemuImg('create', '-q', '-f', 'qcow2', '-o', `${cluster}${options}`, ...more, path, size);
  };
  if (kind === 'empty') {
    await Promise.all([
      createImage(ours, { diskBytes: shape.diskBytes, clusterBits: shape.clusterBits }),
      create(theirs, ''),
    ]);
    return { ours, theirs, disk: Buffer.alloc(total) };
  }
  if (kind === 'counts of 8 bits, lazy') {
    await create(theirs, ',refcount_bits=8,lazy_refcounts=on');
    copyFileSync(theirs, ours);
    return { ours, theirs, disk: Buffer.alloc(total) };
  }
  const raw = join(directory, `${name}.base`);
  writeFileSync(raw, patterned(BACKING_BYTES, 3));
  let format = 'raw';
  let backing = raw;
  if (kind !== 'raw backing file') {
    backing = join(directory, `${name}-base.qcow2`);
    format = 'qcow2';
    await qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', cluster, raw, backing);
  }
  if (kind === 'compressed') {
    await qemuImg('resize', '-q', backing, size);
    copyFileSync(backing, theirs);
  } else {
    await create(theirs, '', '-b', backing, '-F', format);
  }
  copyFileSync(theirs, ours);
  return { ours, theirs, disk: await qemuContent(theirs, shape.stretches) };
}
