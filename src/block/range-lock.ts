/** A stretch of keys, both ends included, that is used alone or along with others. */
export type LockRange = { readonly first: number; readonly last: number; readonly alone: boolean };

type Request = LockRange & { readonly start: (() => void) | null };

/**
 * Holds requests apart that touch the same keys, in the order in which they came: a request waits for every earlier
 * one that overlaps it, unless neither needs the keys alone. So a request for all keys waits for all before it and holds
 * back all behind it.
 */
export class RangeLock {
  readonly #active = new Set<Request>();
  readonly #waiting: Request[] = [];

  /** Runs `work` once the range is free for it, and frees the range however the work ends. */
  async with<Result>(range: LockRange, work: () => Promise<Result>): Promise<Result> {
    const release = await this.#acquire(range);
    try {
      return await work();
    } finally {
      release();
    }
  }

  async #acquire(range: LockRange): Promise<() => void> {
    let held: Request = { ...range, start: null };
    if (this.#mayStart(held, this.#waiting.length)) this.#active.add(held);
    else {
      await new Promise<void>((resolve) => {
        held = { ...range, start: resolve };
        this.#waiting.push(held);
      });
    }
    return () => {
      this.#active.delete(held);
      this.#startWaiting();
    };
  }

  #startWaiting(): void {
    for (let index = 0; index < this.#waiting.length; ) {
      const request = this.#waiting[index]!;
      if (!this.#mayStart(request, index)) {
        index += 1;
        continue;
      }
      this.#waiting.splice(index, 1);
      this.#active.add(request);
      request.start?.();
    }
  }

  #mayStart(request: LockRange, earlier: number): boolean {
    for (const other of this.#active) if (collide(request, other)) return false;
    for (let index = 0; index < earlier; index += 1) if (collide(request, this.#waiting[index]!)) return false;
    return true;
  }
}

function collide(one: LockRange, other: LockRange): boolean {
  return (one.alone || other.alone) && one.first <= other.last && other.first <= one.last;
}
