import type { Volume } from './volume.ts';

/**
 * Gives freed clusters back to the file system: holes where they lie in the middle, the file cut where they are its end.
 * Call it when nothing in the file points to them any more. Space that cannot be given back is used again later, so no
 * failure matters here.
 */
export async function reclaim(volume: Volume): Promise<void> {
  const { counts, file, geometry } = volume;
  const freed = counts.takeFreed();
  const end = counts.end();
  for (const { first, clusters } of freed) {
    const offset = first * geometry.clusterBytes;
    const bytes = Math.min(end - offset, clusters * geometry.clusterBytes);
    if (bytes > 0) await file.punchHole(offset, bytes);
  }
  if (file.bytes > end) await file.truncate(end).catch(() => {});
}
