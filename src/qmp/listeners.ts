import { listenQmp, type QmpAddress, type QmpListener, type QmpListenerOptions } from './server.ts';

/** All QMP sockets of a service: listened on together or not at all, and closed together. */
export class QmpListeners {
  readonly #addresses: readonly QmpAddress[];
  readonly #options: QmpListenerOptions;
  readonly #open: QmpListener[] = [];

  constructor(addresses: readonly QmpAddress[], options: QmpListenerOptions) {
    this.#addresses = addresses;
    this.#options = options;
  }

  /** @returns where they listen, in the flag's form. @throws DomainError if one cannot. */
  async listen(): Promise<readonly string[]> {
    try {
      for (const address of this.#addresses) this.#open.push(await listenQmp(address, this.#options));
    } catch (error) {
      await this.close();
      throw error;
    }
    return this.#open.map(({ address }) => address);
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((listener) => listener.close()));
  }
}
