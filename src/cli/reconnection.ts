import type { Failure } from './client-failure.ts';
import type { Clock } from './world.ts';

/** Pause between two attempts to reach a service again, in milliseconds. */
export const RETRY_MS = 250;

export type ReconnectionOptions = {
  readonly clock: Clock;
  /** How long a lost service is asked again, in milliseconds. */
  readonly reconnectMs: number;
  /** Receives one sentence when the service is lost. */
  readonly note: (text: string) => void;
};

/** Decides how long a command keeps asking a service that it has lost. The time begins at the first failed request. */
export class Reconnection {
  readonly #options: ReconnectionOptions;
  #lostAtMs: number | null = null;

  constructor(options: ReconnectionOptions) {
    this.#options = options;
  }

  /** The service has answered: the next loss gets the full time again. */
  answered(): void {
    this.#lostAtMs = null;
  }

  /** True after a failed request, until the service answers. */
  get isLost(): boolean {
    return this.#lostAtMs !== null;
  }

  /**
   * Records a request that failed because the service is lost. The caller waits and asks again, or gives up.
   * @returns true once the service has been lost for `reconnectMs`: the caller gives up.
   */
  failed({ message }: Failure): boolean {
    const { clock, reconnectMs, note } = this.#options;
    const now = clock.nowMs();
    if (this.#lostAtMs === null) note(`${message}; trying again`);
    this.#lostAtMs ??= now;
    return now - this.#lostAtMs >= reconnectMs;
  }
}
