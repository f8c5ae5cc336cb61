/*
 * File descriptors that a client has sent and that no command has taken. As in QEMU they stay open until a command takes the first
 * of them, which closes the others, or until further descriptors arrive. A waiting command keeps the descriptors that were there
 * when it arrived.
 */

/** The descriptors of one message, and the number of commands that may still take them. */
export type Offer = { readonly descriptors: number[]; waiting: number };

export class OfferedDescriptors {
  readonly #close: (descriptor: number) => void;
  readonly #offers = new Set<Offer>();
  #newest: Offer | null = null;

  constructor(close: (descriptor: number) => void) {
    this.#close = close;
  }

  /** Takes ownership of received descriptors. Closes earlier ones that no waiting command may take. */
  add(descriptors: readonly number[]): void {
    if (descriptors.length === 0) return;
    const before = this.#newest;
    this.#newest = { descriptors: [...descriptors], waiting: 0 };
    this.#offers.add(this.#newest);
    if (before !== null) this.#closeIfDone(before);
  }

  /** The descriptors that a command which has just arrived may take. Call `release` when it is answered. */
  forCommand(): Offer | null {
    if (this.#newest !== null) this.#newest.waiting += 1;
    return this.#newest;
  }

  /** Takes the first descriptor and closes the others; null if there is none. */
  take(offer: Offer | null): number | null {
    const [first, ...others] = offer?.descriptors.splice(0) ?? [];
    for (const other of others) this.#close(other);
    return first ?? null;
  }

  /** Call this when the command is answered. */
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
