/** Work that is done in steps. */
export type Stepwise = {
  /** Does one step. @returns true if the next step may follow. */
  step(): boolean;
  /** A step threw: there are no more steps. */
  fail(error: unknown): void;
};

/**
 * Clients that catch up take turns: one step of one client in each turn of the event loop. However many come back at once,
 * the event loop is never held for longer than one page takes, and other requests are answered in between.
 */
export class EventTurns {
  readonly #waiting = new Set<Stepwise>();
  readonly #onIdle: () => void;
  #next: NodeJS.Immediate | null = null;

  /** @param onIdle is called when nobody waits any longer. */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  /** Adds a client behind all that wait, unless it waits already. */
  add(client: Stepwise): void {
    this.#waiting.add(client);
    this.#next ??= setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#next = null;
    const [client] = this.#waiting;
    if (client === undefined) return;
    this.#waiting.delete(client);
    try {
      if (client.step()) this.#waiting.add(client);
    } catch (error) {
      client.fail(error);
    }
    if (this.#waiting.size === 0) this.#onIdle();
    else this.#next ??= setImmediate(() => this.#turn());
  }
}
