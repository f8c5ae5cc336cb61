import { statfs } from 'node:fs/promises';

type Place = { readonly place: string; readonly path: string };

/** Room on the file systems of these paths; a path that cannot be asked is left out. Never rejects. */
export async function freeSpace(
  places: readonly Place[],
): Promise<readonly { readonly place: string; readonly freeBytes: number; readonly sizeBytes: number }[]> {
  const asked = await Promise.allSettled(places.map(({ path }) => statfs(path)));
  return asked.flatMap((answer, index) => {
    const { place } = places[index]!;
    if (answer.status === 'rejected') return [];
    const { bavail, blocks, bsize } = answer.value;
    return [{ place, freeBytes: bavail * bsize, sizeBytes: blocks * bsize }];
  });
}
