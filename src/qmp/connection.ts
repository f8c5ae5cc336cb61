import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventRecord } from '../commands/domain.ts';
import { stringifyJson } from '../commands/json/stringify.ts';
import { qmpEventView } from '../commands/views/event.ts';
import { Decoder, type QmpInput } from './decoder.ts';
import { closeDescriptor, type Intake, type Received } from './descriptor-intake.ts';
import type { QmpLimits } from './limits.ts';
import { type Offer, OfferedDescriptors } from './offered-descriptors.ts';
import type { Session } from './session.ts';

/*
 * One client's socket. Its commands are answered one after another, in the order in which they came; those that may
 * run out of band are answered at once. Nothing more is read while it has enough to wait for, or does not take its
 * answers. Events come in between, and a client that does not even take those is cut: its loss, and nobody else's.
 */

export type ConnectionOptions = {
  readonly socket: Socket;
  readonly session: Session;
  readonly limits: QmpLimits;
  /** Bytes of messages that are not complete, of all clients. */
  readonly held: { bytes: number };
  /** What comes over this socket may come from a browser: a client that does not begin with JSON is cut. */
  readonly isGuarded: boolean;
  /** How the socket, of which nothing was read yet, is read. */
  readonly openIntake: (socket: Socket, received: Received) => Intake;
};

type Waiting = { readonly input: QmpInput; readonly offer: Offer | null };

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #decoder: Decoder;
  readonly #intake: Intake;
  readonly #offered = new OfferedDescriptors(closeDescriptor);
  readonly #queue: Waiting[] = [];
  #heldBytes = 0;
  #urgent: Promise<void> = Promise.resolve();
  #urgentCount = 0;
  #isAnswering = false;
  #isEnding = false;
  #isClosing = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#decoder = new Decoder(options.limits);
    this.#intake = options.openIntake(options.socket, (chunk, descriptors) => this.#received(chunk, descriptors));
  }

  begin(): void {
    const { socket, session } = this.#options;
    socket.on('error', () => socket.destroy());
    socket.on('end', () => this.#ended());
    socket.on('drain', () => this.#readOn());
    socket.on('close', () => {
      this.#isClosing = true;
      this.#hold(0);
      this.#offered.closeAll();
    });
    this.#send(session.greeting());
    this.#intake.resume();
  }

  happened(event: EventRecord): void {
    const { socket, session, limits } = this.#options;
    if (!session.isNegotiated || socket.destroyed || socket.writableEnded) return;
    this.#send(qmpEventView(event));
    if (socket.writableLength > limits.outputBytesMax) socket.destroy();
  }

  /** Takes no more commands; ends when the one under way is answered. */
  close(): void {
    this.#isClosing = true;
    this.#queue.length = 0;
    if (!this.#isAnswering) this.#finish();
  }

  #received(chunk: Buffer, descriptors: readonly number[]): void {
    this.#offered.came(descriptors);
    if (this.#isClosing) return;
    this.#decoder.push(chunk);
    this.#readOn();
  }

  /** The client sends no more; what it has sent is still answered. */
  #ended(): void {
    this.#isEnding = true;
    this.#decoder.end();
    this.#readOn();
    this.#endIfDone();
  }

  #hold(bytes: number): void {
    const { held, limits, socket } = this.#options;
    held.bytes += bytes - this.#heldBytes;
    this.#heldBytes = bytes;
    if (held.bytes > limits.heldBytesMax) socket.destroy();
  }

  /** Takes commands from what has come, as long as there is room for them. */
  #readOn(): void {
    const { socket, session } = this.#options;
    while (!this.#isClosing && this.#hasRoom() && !socket.writableNeedDrain) {
      const input = this.#decoder.next();
      this.#hold(this.#decoder.heldBytes);
      if (input === null) {
        this.#intake.resume();
        return;
      }
      const waiting = { input, offer: this.#offered.forCommand() };
      if (session.isOutOfBand(input)) this.#answerAtOnce(waiting);
      else this.#queue.push(waiting);
      void this.#answerQueue();
    }
    if (!this.#isClosing) this.#intake.pause();
  }

  #hasRoom(): boolean {
    const { queueMax } = this.#options.limits;
    return this.#queue.length < queueMax && this.#urgentCount < queueMax;
  }

  /** Ahead of what waits, but in order among its like. */
  #answerAtOnce(waiting: Waiting): void {
    this.#urgentCount += 1;
    this.#urgent = this.#urgent.then(async () => {
      await this.#answer(waiting);
      this.#urgentCount -= 1;
      this.#readOn();
      this.#endIfDone();
    });
  }

  async #answerQueue(): Promise<void> {
    if (this.#isAnswering) return;
    this.#isAnswering = true;
    for (let count = 1; this.#queue.length > 0; count++) {
      await this.#answer(this.#queue[0]!);
      this.#queue.shift();
      if (count % this.#options.limits.answersPerTurn === 0) await nextTurn();
      if (!this.#isClosing) this.#readOn();
    }
    this.#isAnswering = false;
    this.#endIfDone();
  }

  async #answer({ input, offer }: Waiting): Promise<void> {
    const { socket, session, isGuarded } = this.#options;
    const mayStay = session.isNegotiated || !isGuarded || input.kind === 'value';
    try {
      const answer = await session.answer(input, () => this.#offered.take(offer));
      this.#offered.release(offer);
      if (socket.destroyed) return;
      this.#send(answer);
    } catch (error) {
      // A client that gets no answer would wait for ever, and so would whatever it sent behind.
      session.report(error);
      this.#isClosing = true;
      this.#queue.length = 0;
      socket.destroy();
      return;
    }
    if (!mayStay || (input.kind === 'refused' && input.isLast)) this.close();
    else if (socket.writableNeedDrain) await drained(socket);
  }

  #endIfDone(): void {
    if (this.#isAnswering || this.#queue.length > 0 || this.#urgentCount > 0) return;
    if (this.#isClosing || this.#isEnding) this.#finish();
  }

  /** What the client still sends is thrown away, so that it can read the last answer; then it has to go. */
  #finish(): void {
    const { socket, limits } = this.#options;
    if (socket.writableEnded || socket.destroyed) return;
    this.#isClosing = true;
    socket.end();
    this.#intake.resume();
    const cut = setTimeout(() => socket.destroy(), limits.closeGraceMs);
    socket.once('close', () => clearTimeout(cut));
  }

  #send(message: unknown): void {
    const { socket } = this.#options;
    if (!socket.destroyed && !socket.writableEnded) socket.write(`${stringifyJson(message)}\r\n`);
  }
}

/** Resolves when the client has taken what it was sent, or has gone. */
async function drained(socket: Socket): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([
      once(socket, 'drain', { signal: over.signal }),
      once(socket, 'close', { signal: over.signal }),
    ]);
  } catch {
    // The socket's own error: it is closed then.
  } finally {
    over.abort();
  }
}
