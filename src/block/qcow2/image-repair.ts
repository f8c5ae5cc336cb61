import type { RepairReport } from '../image.ts';
import type { Committer } from './commit.ts';
import type { CheckedImage } from './image-check.ts';
import { AUTOCLEAR_OFFSET, INCOMPATIBLE, INCOMPATIBLE_OFFSET } from './image-header.ts';
import { forgetCompressed } from './mapping.ts';
import { Refcounts } from './refcounts.ts';
import { decodeCount, offsetAt, setCopied } from './table-format.ts';
import type { Volume } from './volume.ts';

/**
 * Prepares a checked image for writing: corrects its counts and flags, and clears the feature bits that are no longer
 * true.
 * @returns null if nothing had to be corrected
 * @throws BlockError
 */
export async function makeWritable(
  volume: Volume,
  committer: Committer,
  checked: CheckedImage,
): Promise<RepairReport | null> {
  const { geometry, file, header } = volume;
  const refcounts = new Refcounts({
    path: file.path,
    geometry,
    counts: checked.counts,
    place: volume.pointers.refcountTable,
    blocks: checked.blocks,
    onFree: (offset) => {
      volume.tables.drop(offset);
      forgetCompressed(volume);
    },
  });
  const found = await compareCounts(volume, refcounts, checked);
  volume.refcounts = refcounts;
  // Before any other change: a program that relies on these bits must see that the image was changed.
  if (header.autoclear !== 0n) await writeFeatures(volume, AUTOCLEAR_OFFSET, 0n);
  const copied = await fixCopied(volume, checked, found.overcounted);
  await committer.commit();
  if (file.bytes > refcounts.end()) await file.truncate(refcounts.end());
  if ((header.incompatible & INCOMPATIBLE.dirty) !== 0n) {
    await volume.sync();
    await writeFeatures(volume, INCOMPATIBLE_OFFSET, header.incompatible & ~INCOMPATIBLE.dirty);
  }
  if (found.leaked === 0 && found.low + copied === 0) return null;
  return { leakedClusters: found.leaked, correctedEntries: found.low + copied };
}

/**
 * Marks every stored count that differs from the correct one. @returns the number of counts too high and too low, and the
 * used clusters whose count is too high.
 */
async function compareCounts(volume: Volume, refcounts: Refcounts, { counts, blocks }: CheckedImage) {
  const { geometry, file } = volume;
  const { countsPerBlock, refcountOrder } = geometry;
  const found = { leaked: 0, low: 0, overcounted: new Set<number>() };
  const known = [...blocks];
  const bytes = Buffer.allocUnsafeSlow(geometry.clusterBytes);
  for (const [block, offset] of known.entries()) {
    if (offset === 0) continue;
    await file.read(offset, bytes);
    for (let index = 0; index < countsPerBlock; index += 1) {
      const cluster = block * countsPerBlock + index;
      const stored = decodeCount(bytes, index, refcountOrder);
      const needed = counts.get(cluster);
      if (stored === needed) continue;
      if (stored < needed) found.low += 1;
      else {
        found.leaked += 1;
        if (needed > 0) found.overcounted.add(cluster * geometry.clusterBytes);
      }
      refcounts.touch(cluster);
    }
    if (block % 16 === 15) await new Promise((resolve) => setImmediate(resolve));
  }
  const uncounted: number[] = [];
  for (const { first, counts: stretch } of counts.stretches()) {
    stretch.forEach((count, index) => {
      if (count > 0 && !known[Math.floor((first + index) / countsPerBlock)]) uncounted.push(first + index);
    });
  }
  found.low += uncounted.length;
  for (const cluster of uncounted) refcounts.touch(cluster);
  return found;
}

/**
 * Sets the flags COPIED by the correct counts. A flag that agrees with a count that was too high is corrected but not counted,
 * because the leak is counted already.
 * @returns the number of flags that contradicted the stored counts.
 */
async function fixCopied(
  volume: Volume,
  { copiedFaults }: CheckedImage,
  overcounted: ReadonlySet<number>,
): Promise<number> {
  let wrong = 0;
  const fix = (entries: Buffer, index: number, copied: boolean): void => {
    if (!copied || !overcounted.has(offsetAt(entries, index))) wrong += 1;
    setCopied(entries, index, copied);
  };
  for (const { table, index, copied } of copiedFaults) {
    if (table !== null) await volume.tables.update(table, (entries) => fix(entries, index, copied));
    else {
      fix(volume.l1, index, copied);
      volume.touchL1(index);
    }
  }
  return wrong;
}

async function writeFeatures(volume: Volume, position: number, features: bigint): Promise<void> {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(features);
  await volume.writeTables([{ position, bytes }]);
  await volume.sync();
}
