import { ConnectionLost, Failure } from './client-failure.ts';
import type { World } from './world.ts';

/*
 * Follows work, a job or a migration, to its end by asking for it again and again. That is all it needs of the service, so it survives what
 * an event stream does not: a restart of the service, a proxy that cuts long answers, a laptop that slept.
 */

/** The first looks come quickly, since many jobs take no longer; each pause is twice the one before. */
const POLL_MS_MIN = 20;
const POLL_MS_MAX = 200;
const RETRY_MS = 250;
/** How long what was asked to cancel may take to end. */
const CANCEL_MS_MAX = 60_000;

/** Work that is followed, as it was seen. */
export type Followed = { readonly isConcluded: boolean };

export type FollowOptions<Work extends Followed> = {
  /** What it is called: `job j1`. */
  readonly name: string;
  readonly world: Pick<World, 'clock' | 'interrupt'>;
  /** When to give up, on the world's clock; null: never. */
  readonly deadlineMs: number | null;
  readonly cancelsOnTimeout: boolean;
  /** For how long a lost connection is tried again. */
  readonly reconnectMs: number;
  /** Asks for it once more. */
  look(deadlineMs: number): Promise<Work>;
  cancel(): Promise<void>;
  /** Resolves when a look may show something new; null: only time tells. */
  readonly wake: (() => Promise<void>) | null;
  /** Told of every state of it that was seen. */
  readonly report: (work: Work) => void;
  /** Told in a sentence of what goes wrong on the way. */
  readonly note: (text: string) => void;
};

/** Why following stopped before, or regardless of whether, the work ended. */
export type Stop = 'interrupt' | 'timeout';

/** The work as last seen; it is concluded unless `stop` says why not. */
export type Ending<Work extends Followed> = { readonly last: Work; readonly stop: Stop | null };

/** @throws Failure if the service cannot be reached any more or does not know the work. */
export async function follow<Work extends Followed>(first: Work, options: FollowOptions<Work>): Promise<Ending<Work>> {
  return new Follower(first, options).run();
}

class Follower<Work extends Followed> {
  readonly #options: FollowOptions<Work>;
  #last: Work;
  #stop: Stop | null = null;
  #giveUpMs: number;

  constructor(first: Work, options: FollowOptions<Work>) {
    this.#options = options;
    this.#last = first;
    this.#giveUpMs = options.deadlineMs ?? Number.POSITIVE_INFINITY;
  }

  async run(): Promise<Ending<Work>> {
    for (let pauseMs = POLL_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, POLL_MS_MAX)) {
      this.#options.report(this.#last);
      if (this.#last.isConcluded || (await this.#isToStop())) return { last: this.#last, stop: this.#stop };
      const woken = this.#options.wake?.();
      await (woken === undefined ? this.#pause(pauseMs) : Promise.race([this.#pause(pauseMs), woken]));
      await this.#look();
    }
  }

  /** Asks for a cancel when it is time to. @returns true if its end is not to be waited for. */
  async #isToStop(): Promise<boolean> {
    const { cancelsOnTimeout, world } = this.#options;
    const now = world.clock.nowMs();
    if (this.#stop !== null) return now >= this.#giveUpMs;
    if (world.interrupt.aborted) this.#stop = 'interrupt';
    else if (now >= this.#giveUpMs) this.#stop = 'timeout';
    else return false;
    if (this.#stop === 'timeout' && !cancelsOnTimeout) return true;
    this.#giveUpMs = now + CANCEL_MS_MAX;
    return !(await this.#cancel());
  }

  /** @returns false if the service did not hear of it. */
  async #cancel(): Promise<boolean> {
    const { name, cancel, note } = this.#options;
    try {
      note(`${name} is being cancelled`);
      await cancel();
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      note(`${name} could not be cancelled: ${error.message}`);
      // Refused: it may have ended meanwhile, which the next look shows.
      return !(error instanceof ConnectionLost);
    }
  }

  /** Ends early at an interrupt, but only at the one that is new. */
  #pause(ms: number): Promise<void> {
    const { clock, interrupt } = this.#options.world;
    return clock.wait(Math.min(ms, Math.max(this.#leftMs(), 0)), this.#stop === null ? interrupt : null);
  }

  #leftMs(): number {
    return this.#giveUpMs - this.#options.world.clock.nowMs();
  }

  /** Sees what became of it. While the service is away it tries again, as long as it may. */
  async #look(): Promise<void> {
    const { look, world, reconnectMs, note } = this.#options;
    let lostAtMs: number | null = null;
    for (;;) {
      const isOver = this.#leftMs() <= 0 || (this.#stop === null && world.interrupt.aborted);
      if (isOver) return;
      try {
        this.#last = await look(Math.max(this.#leftMs(), 1));
        return;
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw this.#explained(error);
        if (lostAtMs === null) note(`${error.message}; trying again`);
        lostAtMs ??= world.clock.nowMs();
        if (this.#leftMs() > 0 && world.clock.nowMs() - lostAtMs >= reconnectMs) throw this.#explained(error);
      }
      await this.#pause(RETRY_MS);
    }
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof Failure)) return error;
    const message = `what became of ${this.#options.name} is not known: ${error.message}`;
    // A refusal of its name is not a refusal of the command: it was there.
    return new ConnectionLost(message, { mayHaveArrived: true, code: error.code });
  }
}
