import type { ServiceClient } from './client.ts';
import { ConnectionLost, Failure } from './failure.ts';
import type { Job } from './job.ts';
import type { World } from './world.ts';

/*
 * Follows a job to its end by asking for it again and again. That is all it needs of the service, so it survives what
 * an event stream does not: a restart of the service, a proxy that cuts long answers, a laptop that slept.
 */

/** The first looks come quickly, since many jobs take no longer; each pause is twice the one before. */
const POLL_MS_MIN = 20;
const POLL_MS_MAX = 200;
const RETRY_MS = 250;
/** How long a job that was asked to cancel may take to end. */
const CANCEL_MS_MAX = 60_000;

export type FollowOptions = {
  readonly client: ServiceClient;
  readonly world: Pick<World, 'clock' | 'interrupt'>;
  /** When to give up, on the world's clock; null: never. */
  readonly deadlineMs: number | null;
  readonly cancelsOnTimeout: boolean;
  /** For how long a lost connection is tried again. */
  readonly reconnectMs: number;
  /** Told of every state of the job that was seen. */
  readonly report: (job: Job) => void;
  /** Told in a sentence of what goes wrong on the way. */
  readonly note: (text: string) => void;
};

/** Why following stopped before, or regardless of whether, the job ended. */
export type Stop = 'interrupt' | 'timeout';

/** The job as last seen; it is concluded unless `stop` says why not. */
export type Ending = { readonly job: Job; readonly stop: Stop | null };

/** @throws Failure if the service cannot be reached any more or does not know the job. */
export async function followJob(first: Job, options: FollowOptions): Promise<Ending> {
  return new Follower(first, options).run();
}

class Follower {
  readonly #options: FollowOptions;
  #job: Job;
  #stop: Stop | null = null;
  #giveUpMs: number;

  constructor(first: Job, options: FollowOptions) {
    this.#options = options;
    this.#job = first;
    this.#giveUpMs = options.deadlineMs ?? Number.POSITIVE_INFINITY;
  }

  async run(): Promise<Ending> {
    for (let pauseMs = POLL_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, POLL_MS_MAX)) {
      this.#options.report(this.#job);
      if (this.#job.isConcluded || (await this.#isToStop())) return { job: this.#job, stop: this.#stop };
      await this.#pause(pauseMs);
      await this.#look();
    }
  }

  /** Asks the job to cancel when it is time to. @returns true if its end is not to be waited for. */
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
    const { client, note } = this.#options;
    try {
      note(`job ${this.#job.id} is being cancelled`);
      await client.cancelJob(this.#job.id);
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      note(`job ${this.#job.id} could not be cancelled: ${error.message}`);
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

  /** Sees what became of the job. While the service is away it tries again, as long as it may. */
  async #look(): Promise<void> {
    const { client, world, reconnectMs, note } = this.#options;
    let lostAtMs: number | null = null;
    for (;;) {
      const isOver = this.#leftMs() <= 0 || (this.#stop === null && world.interrupt.aborted);
      if (isOver) return;
      try {
        this.#job = await client.job(this.#job.id, Math.max(this.#leftMs(), 1));
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
    const message = `what became of job ${this.#job.id} is not known: ${error.message}`;
    // A refusal of the job's name is not a refusal of the command: the job was there.
    return new ConnectionLost(message, { mayHaveArrived: true, code: error.code });
  }
}
