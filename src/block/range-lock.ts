/** A range of keys, including both ends. `alone`: no other request may use them at the same time. */
export type LockRange = { readonly first: number; readonly last: number; readonly alone: boolean };

type Request = LockRange & { readonly start: (() => void) | null };

/**
 * Orders requests that use the same keys. A request waits for every earlier request that overlaps it, unless both share
 * their keys. A request for all keys therefore waits for all earlier requests and delays all later ones.
 */
export class RangeLock {
  readonly #active = new Set<Request>();
  readonly #waiting: Request[] = [];

  /** Runs `work` when the range is free, and frees the range when the work ends or fails. */
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
