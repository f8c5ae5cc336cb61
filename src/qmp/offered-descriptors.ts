/*
 * The descriptors that a client has sent and that no command has taken. As in QEMU they stay until a command takes one of
 * them, which closes the others, or until more come. A command that waits keeps those that were there when it came.
 */

/** What came with one message. */
export type Offer = { readonly descriptors: number[]; waiting: number };

export class OfferedDescriptors {
  readonly #close: (descriptor: number) => void;
  readonly #offers = new Set<Offer>();
  #newest: Offer | null = null;

  constructor(close: (descriptor: number) => void) {
    this.#close = close;
  }

  /** Takes ownership of what came. Those that came before, and that no command waits for, are closed. */
  came(descriptors: readonly number[]): void {
    if (descriptors.length === 0) return;
    const before = this.#newest;
    this.#newest = { descriptors: [...descriptors], waiting: 0 };
    this.#offers.add(this.#newest);
    if (before !== null) this.#closeIfDone(before);
  }

  /** What the command may take that has just come; ends with `release`. */
  forCommand(): Offer | null {
    if (this.#newest !== null) this.#newest.waiting += 1;
    return this.#newest;
  }

  /** The first of an offer, whose others are closed; null if there is none. */
  take(offer: Offer | null): number | null {
    const [first, ...others] = offer?.descriptors.splice(0) ?? [];
    for (const other of others) this.#close(other);
    return first ?? null;
  }

  /** The command has been answered. */
  release(offer: Offer | null): void {
    if (offer === null) return;
    offer.waiting -= 1;
    this.#closeIfDone(offer);
  }

  closeAll(): void {
    this.#newest = null;
    for (const offer of this.#offers) this.#empty(offer);
  }

  #closeIfDone(offer: Offer): void {
    if (offer === this.#newest || offer.waiting > 0) return;
    this.#empty(offer);
  }

  #empty(offer: Offer): void {
    this.#offers.delete(offer);
    for (const descriptor of offer.descriptors.splice(0)) this.#close(descriptor);
  }
}
