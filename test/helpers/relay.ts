// A link between two services that can be made slow or still while a migration runs over it.

import net, { type AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export class Relay {
  readonly uri: string;
  /** Bytes a second towards the target; 0: nothing passes. */
  #rate = Number.POSITIVE_INFINITY;
  #changed: (() => void) | null = null;

  private constructor(port: number) {
    this.uri = `tcp:127.0.0.1:${port}`;
  }

  static async to(targetUri: string): Promise<Relay> {
    const targetPort = Number(targetUri.split(':').at(-1));
    const server = net.createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const relay = new Relay((server.address() as AddressInfo).port);
    server.once('connection', (source) => relay.#join(source, net.connect({ port: targetPort, allowHalfOpen: true })));
    onTestFinished(() => void server.close());
    return relay;
  }

  set rate(bytesPerSecond: number) {
    this.#rate = bytesPerSecond;
    this.#changed?.();
  }

  #join(source: net.Socket, target: net.Socket): void {
    for (const socket of [source, target]) {
      socket.on('error', () => {});
      onTestFinished(() => void socket.destroy());
    }
    source.on('data', async (chunk) => {
      source.pause();
      await this.#due(chunk.length);
      target.write(chunk, () => source.resume());
    });
    source.on('end', () => target.end());
    target.on('close', () => source.end());
    target.pipe(source, { end: false });
  }

  /** Resolves when `bytes` may pass; a change of the rate counts at once. */
  async #due(bytes: number): Promise<void> {
    const from = performance.now();
    for (;;) {
      const leftMs = this.#rate === 0 ? 60_000 : (bytes * 1000) / this.#rate - (performance.now() - from);
      if (leftMs <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
