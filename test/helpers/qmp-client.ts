// A client of vmferry's QMP sockets that sends given bytes and returns the answers one by one.

import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { FakeApp } from './app.ts';
import type { JsonObject } from './qemu/qmp.ts';
import { readQmpMessages, withRoundedNumbers } from './qmp-reader.ts';

export class QmpSocket {
  readonly socket: Socket;
  readonly #messages: JsonObject[] = [];
  readonly #waiting: ((message: JsonObject | null) => void)[] = [];
  #isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    readQmpMessages(socket, (message) => this.#take(withRoundedNumbers(message) as JsonObject));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#isClosed = true;
      for (const tell of this.#waiting.splice(0)) tell(null);
    });
    onTestFinished(() => {
      socket.destroy();
    });
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next message, or null once the connection is closed. */
  next(): Promise<JsonObject | null> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (this.#isClosed) return Promise.resolve(null);
    const { promise, resolve } = Promise.withResolvers<JsonObject | null>();
    this.#waiting.push(resolve);
    return promise;
  }

  async take(count: number): Promise<(JsonObject | null)[]> {
    const taken: (JsonObject | null)[] = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }

  /** Everything up to the end of the connection. */
  async rest(): Promise<JsonObject[]> {
    const all: JsonObject[] = [];
    for (let message = await this.next(); message !== null; message = await this.next()) all.push(message);
    return all;
  }

  #take(message: JsonObject): void {
    const tell = this.#waiting.shift();
    if (tell === undefined) this.#messages.push(message);
    else tell(message);
  }
}

/** Connects to a QMP socket. */
export function connectQmp(address: string): QmpSocket {
  const [kind, ...rest] = address.split(':');
  if (kind === 'unix') return new QmpSocket(connect(rest.join(':')));
  return new QmpSocket(connect(Number(rest.at(-1)), rest.slice(0, -1).join(':')));
}

/** A client that has negotiated. */
export async function negotiated(address: string, enable: readonly string[] = []): Promise<QmpSocket> {
  const client = connectQmp(address);
  client.send(JSON.stringify({ execute: 'qmp_capabilities', arguments: { enable } }));
  await client.take(2);
  return client;
}

/** Starts the app's QMP sockets. @returns the address of the first. */
export async function qmpAddress(app: Pick<FakeApp, 'listenQmp'>): Promise<string> {
  const [address] = await app.listenQmp();
  if (address === undefined) throw new Error('the app has no QMP socket');
  return address;
}
