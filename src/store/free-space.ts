import { statfsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';

type Place = { readonly place: string; readonly path: string };
type Room = { readonly place: string; readonly freeBytes: number; readonly sizeBytes: number };
type Answer = { readonly bavail: number; readonly blocks: number; readonly bsize: number };

/** How long a reader waits for the file systems, in milliseconds, before it takes what they said last. */
const ANSWER_MS_MAX = 20;

/**
 * Room on the file systems of some paths; a path that cannot be asked is left out. A file system that does not answer,
 * or a busy thread pool, delays nobody: then the newest answer there was counts. At most one question is under way.
 */
export class FreeSpace {
  readonly #places: () => readonly Place[];
  #newest: readonly Room[];
  #question: Promise<void> | null = null;

  constructor(places: () => readonly Place[]) {
    this.#places = places;
    this.#newest = places().flatMap((place) => roomOf(place, askNow(place.path)));
  }

  /** Never rejects. */
  async read(): Promise<readonly Room[]> {
    this.#question ??= this.#ask().finally(() => {
      this.#question = null;
    });
    await Promise.race([this.#question, patienceOver()]);
    return this.#newest;
  }

  async #ask(): Promise<void> {
    const places = this.#places();
    const answers = await Promise.allSettled(places.map(({ path }) => statfs(path)));
    this.#newest = answers.flatMap((answer, index) =>
      roomOf(places[index]!, answer.status === 'fulfilled' ? answer.value : null),
    );
  }
}

function patienceOver(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ANSWER_MS_MAX).unref();
  });
}

function askNow(path: string): Answer | null {
  try {
    return statfsSync(path);
  } catch {
    return null;
  }
}

function roomOf({ place }: Place, answer: Answer | null): readonly Room[] {
  if (answer === null) return [];
  const { bavail, blocks, bsize } = answer;
  return [{ place, freeBytes: bavail * bsize, sizeBytes: blocks * bsize }];
}
