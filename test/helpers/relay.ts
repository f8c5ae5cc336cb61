// A link between two services that a test can slow down or stop during a migration.

import net, { type AddressInfo } from 'node:net';
import koffi from 'koffi';
import { expect, onTestFinished } from 'vitest';
import { socketPath, startConnecting } from './transports.ts';

/** Of Linux's <sys/socket.h>. */
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const setOption = koffi
  .load(null)
  .func('int setsockopt(int fd, int level, int name, const int *value, unsigned int length)');

export class Relay {
  readonly uri: string;
  /** The rate towards the target in bytes per second; 0 stops the link. */
  #rate = Number.POSITIVE_INFINITY;
  #changed: (() => void) | null = null;

  private constructor(uri: string) {
    this.uri = uri;
  }

  /**
   * A relay to `tcp:HOST:PORT` or `unix:PATH`, over the same transport. What waits at its entry counts as arrived for the
   * source's system: `receiveBufferBytes` bounds that, to what a link itself can hold.
   */
  static async to(targetUri: string, { receiveBufferBytes }: { receiveBufferBytes?: number } = {}): Promise<Relay> {
    const server = net.createServer({ allowHalfOpen: true });
    const place = targetUri.startsWith('unix:') ? { path: socketPath() } : { host: '127.0.0.1', port: 0 };
    await new Promise<void>((resolve) => server.listen(place, resolve));
    if (receiveBufferBytes !== undefined) limitReceiveBuffer(server, receiveBufferBytes);
    const bound = server.address() as AddressInfo | string;
    const relay = new Relay(typeof bound === 'string' ? `unix:${bound}` : `tcp:127.0.0.1:${bound.port}`);
    server.once('connection', (source) => relay.#join(source, startConnecting(targetUri, { allowHalfOpen: true })));
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

  /** Resolves when `bytes` may pass. A change of the rate takes effect at once. */
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

/** Accepted connections inherit this buffer size. */
function limitReceiveBuffer(server: net.Server, bytes: number): void {
  const { _handle: handle } = server as unknown as { readonly _handle: { readonly fd: number } };
  expect(setOption(handle.fd, SOL_SOCKET, SO_RCVBUF, [bytes], 4)).toBe(0);
}
