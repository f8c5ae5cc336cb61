import { ConnectionLost } from './client-failure.ts';
import type { ServiceEvent } from './event-reader.ts';
import type { ServiceClient } from './service-client.ts';
import type { Clock } from './world.ts';

/* Listens to the events of a service, over connections that come and go. */

export type ListenOptions = {
  readonly client: ServiceClient;
  /** Number of the last event that is known; null: only what happens from now on. */
  readonly since: string | null;
  readonly clock: Clock;
  /** Ends it. */
  readonly stop: AbortSignal;
  /** For how long a service that went away is asked again. */
  readonly reconnectMs: number;
  readonly take: (event: ServiceEvent) => void;
  /** Told in a sentence of what goes wrong. */
  readonly note: (text: string) => void;
};

const RETRY_MS = 250;

/**
 * Resolves once it is told to stop. A stream that ended is opened again behind the last event that was seen; a service
 * that was never there is not awaited.
 * @throws Failure if the service cannot be reached or refuses.
 */
export async function listen(options: ListenOptions): Promise<void> {
  const { clock, stop } = options;
  const listener = new Listener(options);
  while (!stop.aborted) {
    await listener.once();
    await clock.wait(RETRY_MS, stop);
  }
}

class Listener {
  readonly #options: ListenOptions;
  #last: string | null;
  #lostAtMs: number | null = null;
  #wasThere = false;

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#last = options.since;
  }

  async once(): Promise<void> {
    try {
      await this.#read();
    } catch (error) {
      if (this.#options.stop.aborted) return;
      if (!(error instanceof ConnectionLost) || !this.#wasThere) throw error;
      this.#lost(error);
    }
  }

  async #read(): Promise<void> {
    const { client, stop, take } = this.#options;
    const events = await client.events(this.#last, stop);
    this.#wasThere = true;
    this.#lostAtMs = null;
    for await (const event of events) {
      this.#last = event.id ?? this.#last;
      take(event);
    }
  }

  #lost(error: ConnectionLost): void {
    const { clock, reconnectMs, note } = this.#options;
    if (this.#lostAtMs === null) note(`${error.message}; trying again`);
    this.#lostAtMs ??= clock.nowMs();
    if (clock.nowMs() - this.#lostAtMs >= reconnectMs) throw error;
  }
}
