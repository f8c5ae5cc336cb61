import type { WorkMeter } from '../image.ts';
import type { Volume } from './volume.ts';

/** Given back in one call: what is larger takes a while, and would show no progress. */
const HOLE_BYTES_MAX = 64 * 2 ** 20;

/**
 * Gives freed clusters back to the file system: holes where they lie in the middle, the file cut where they are its end.
 * Call it when nothing in the file points to them any more. Space that cannot be given back is used again later, so no
 * failure matters here.
 */
export async function reclaim(volume: Volume, meter?: WorkMeter): Promise<void> {
  const { counts, file, geometry } = volume;
  const end = counts.end();
  const freed = counts.takeFreed().map(({ first, clusters }) => {
    const offset = first * geometry.clusterBytes;
    const bytes = clusters * geometry.clusterBytes;
    return { offset, bytes, inside: Math.max(0, Math.min(end - offset, bytes)) };
  });
  for (const { bytes } of freed) meter?.addTotal(bytes);
  for (const { offset, inside } of freed) {
    for (let done = 0; done < inside; done += HOLE_BYTES_MAX) {
      const hole = Math.min(HOLE_BYTES_MAX, inside - done);
      await file.punchHole(offset + done, hole);
      meter?.addCurrent(hole);
    }
  }
  if (file.bytes > end) await file.truncate(end).catch(() => {});
  for (const { bytes, inside } of freed) meter?.addCurrent(bytes - inside);
}
