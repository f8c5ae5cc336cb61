import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { qmpEventView } from '../commands/views/machine.ts';
import type { EventRecord } from '../domain/ports/store.ts';
import { type DecodedMessage, QmpDecoder } from './codec/qmp-decoder.ts';
import { encodeMessage } from './codec/qmp-messages.ts';
import { closeDescriptor, type Intake, type Offer, OfferedDescriptors, type Received } from './descriptor-intake.ts';
import type { QmpLimits } from './qmp-limits.ts';
import type { QmpSession } from './qmp-session.ts';

/*
 * The socket of one QMP client. Its commands are answered one at a time, in the order of their arrival; out-of-band commands are
 * answered at once. The service stops reading from a client while `queueMax` of its commands wait, or while its answers fill
 * the socket's buffer. Events are sent between answers. A client that does not read its events is disconnected.
 */

export type ConnectionOptions = {
  readonly socket: Socket;
  readonly session: QmpSession;
  readonly limits: QmpLimits;
  /** Bytes of incomplete messages of all clients, shared by all connections. */
  readonly held: { bytes: number };
  /** True for a socket that a browser can reach: a client whose first bytes are not JSON is disconnected. */
  readonly isGuarded: boolean;
  /** Reads the socket, from which nothing has been read yet. */
  readonly openIntake: (socket: Socket, received: Received) => Intake;
};

type Waiting = { readonly input: DecodedMessage; readonly offer: Offer | null };

export class QmpConnection {
  readonly #options: ConnectionOptions;
  readonly #decoder: QmpDecoder;
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
    this.#decoder = new QmpDecoder(options.limits);
    this.#intake = options.openIntake(options.socket, (chunk, descriptors) => this.#received(chunk, descriptors));
  }

  /** Sends the greeting and starts to read. */
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

  /** Sends an event to a client that has negotiated. */
  sendEvent(event: EventRecord): void {
    const { socket, session, limits } = this.#options;
    if (!session.isNegotiated || socket.destroyed || socket.writableEnded) return;
    this.#send(qmpEventView(event));
    if (socket.writableLength > limits.outputBytesMax) socket.destroy();
  }

  /** Discards waiting commands, and ends the connection once the running command is answered. */
  close(): void {
    this.#isClosing = true;
    this.#queue.length = 0;
    if (!this.#isAnswering) this.#finish();
  }

  #received(chunk: Buffer, descriptors: readonly number[]): void {
    this.#offered.add(descriptors);
    if (this.#isClosing) return;
    this.#decoder.push(chunk);
    this.#readOn();
  }

  /** The client has ended its side. The commands that it has sent are still answered. */
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

  /** Queues the commands that have arrived, as long as the queue has room. */
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

  /** Answers ahead of the waiting commands, but in the order of the out-of-band commands. */
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
      // Without an answer the client would wait for ever, and its later commands, too.
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

  /** Ends the service's side. The client's further bytes are discarded until it has read the last answer, or `closeGraceMs` is over. */
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
    if (!socket.destroyed && !socket.writableEnded) socket.write(encodeMessage(message));
  }
}

/** Resolves when the client has read its answers, or is gone. */
async function drained(socket: Socket): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([
      once(socket, 'drain', { signal: over.signal }),
      once(socket, 'close', { signal: over.signal }),
    ]);
  } catch {
    // An error of the socket closes it.
  } finally {
    over.abort();
  }
}
