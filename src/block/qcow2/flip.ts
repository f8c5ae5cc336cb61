import type { Pointers } from './header.ts';
import type { Volume } from './volume.ts';

type Flipped = Partial<Pick<Pointers, 'diskBytes' | 'l1' | 'snapshotTable'>>;

/**
 * Turns the image over to tables that were made beside those in use. The counts go along: blocks that have changed and
 * their table are written to new places too, and one header write makes all of it valid at once. Before it the file is
 * what it was, after it what it is to be: at no moment do counts, COPIED flags and tables disagree.
 * @returns clusters that held the old counts.
 */
export async function flip(volume: Volume, to: Flipped): Promise<number[]> {
  const { counts } = volume;
  const moved = counts.move();
  for (const { position, bytes } of counts.movedWrites(moved)) await volume.write(position, bytes);
  await volume.sync();
  await volume.writePointers({ ...volume.pointers, ...to, refcountTable: moved.place });
  return counts.moved(moved);
}
