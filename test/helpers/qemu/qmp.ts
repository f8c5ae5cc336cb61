// A small QMP client with greeting, capabilities, commands and events. It works with QEMU and with any compatible
// server.

import { connect, type Socket } from 'node:net';
import { readServerMessage, type ServerMessage } from '../../../src/qmp/codec/qmp-messages.ts';
import { readQmpMessages, withRoundedNumbers } from '../qmp-reader.ts';

export type JsonObject = { readonly [member: string]: unknown };

export type QmpEvent = {
  readonly event: string;
  /** Empty if the event has no data. */
  readonly data: JsonObject;
};

/** The answer to one command. Integers beyond 2^53 are bigints, and fractions are JsonFraction. */
export type QmpReply = Extract<ServerMessage, { readonly kind: 'result' | 'error' }>;

export type EventWait = {
  /** Which of the events of that name; any when missing. */
  readonly matches?: (data: JsonObject) => boolean;
  /** Search only from this position of `events` on; 0 includes all events. */
  readonly from?: number;
  readonly timeoutMs?: number;
};

export const QMP_TIMEOUT_MS_DEFAULT = 15_000;
const EVENTS_MAX = 100_000;

/** A command that was refused. */
export class QmpCommandError extends Error {
  readonly command: string;
  readonly errorClass: string;
  readonly desc: string;

  constructor(command: string, errorClass: string, desc: string) {
    super(`QMP ${command} failed with ${errorClass}: ${desc}`);
    this.name = 'QmpCommandError';
    this.command = command;
    this.errorClass = errorClass;
    this.desc = desc;
  }
}

type PendingReply = { readonly resolve: (reply: QmpReply) => void; readonly reject: (error: Error) => void };

export class QmpClient {
  /** Every event so far, oldest first. */
  readonly events: QmpEvent[] = [];
  readonly #socket: Socket;
  readonly #pending = new Map<string, PendingReply>();
  readonly #listeners = new Set<() => void>();
  #isGreeted = false;
  #nextId = 1;
  #closedBy: Error | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    readQmpMessages(socket, (message) => this.#takeMessage(readServerMessage(message)));
    socket.on('error', (error) => this.#close(error));
    socket.on('close', () => this.#close(new Error('The QMP connection was closed.')));
  }

  /** Takes a connected socket through greeting and qmp_capabilities. */
  static async attach(socket: Socket, timeoutMs: number = QMP_TIMEOUT_MS_DEFAULT): Promise<QmpClient> {
    const client = new QmpClient(socket);
    await client.#until(() => client.#isGreeted, 'QMP greeting', timeoutMs);
    await client.execute('qmp_capabilities');
    return client;
  }

  /** Connects to a QMP server's unix socket. */
  static async connect(path: string, timeoutMs: number = QMP_TIMEOUT_MS_DEFAULT): Promise<QmpClient> {
    return QmpClient.attach(connect(path), timeoutMs);
  }

  /** Runs a command and gives its return value; rejects with QmpCommandError when it is refused. */
  async execute(command: string, commandArguments?: JsonObject): Promise<unknown> {
    const text = commandArguments === undefined ? null : JSON.stringify(commandArguments);
    const reply = await this.executeText(command, text);
    if (reply.kind === 'error') throw new QmpCommandError(command, reply.class, reply.description);
    return withRoundedNumbers(reply.value);
  }

  /** Like execute, for callers who know that an object comes back. */
  async query(command: string, commandArguments?: JsonObject): Promise<JsonObject> {
    return (await this.execute(command, commandArguments)) as JsonObject;
  }

  /** Sends arguments given as JSON text (numbers JavaScript cannot hold, say) and gives the reply, error or not. */
  executeText(command: string, argumentsText: string | null): Promise<QmpReply> {
    if (this.#closedBy !== null) return Promise.reject(this.#closedBy);
    const id = `q${this.#nextId++}`;
    const { promise, resolve, reject } = Promise.withResolvers<QmpReply>();
    const timer = setTimeout(
      () => reject(new Error(`QMP ${command} ${argumentsText ?? ''} was not answered.`)),
      QMP_TIMEOUT_MS_DEFAULT,
    );
    this.#pending.set(id, { resolve, reject });
    const argumentsPart = argumentsText === null ? '' : `,"arguments":${argumentsText}`;
    this.#socket.write(`{"execute":${JSON.stringify(command)},"id":"${id}"${argumentsPart}}\n`);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#pending.delete(id);
    });
  }

  /** The first event with this name, already received or later. */
  async waitForEvent(name: string, wait: EventWait = {}): Promise<QmpEvent> {
    let position = wait.from ?? 0;
    let found: QmpEvent | undefined;
    await this.#until(
      () => {
        for (; position < this.events.length && found === undefined; position++) {
          const event = this.events[position] as QmpEvent;
          if (event.event === name && (wait.matches?.(event.data) ?? true)) found = event;
        }
        return found !== undefined;
      },
      `event ${name}`,
      wait.timeoutMs ?? QMP_TIMEOUT_MS_DEFAULT,
    );
    return found as QmpEvent;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Resolves when the condition, evaluated after every message, holds. */
  #until(holds: () => boolean, what: string, timeoutMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      const seen = this.events.map((event) => `${event.event} ${JSON.stringify(event.data)}`).slice(-20);
      reject(new Error(`No ${what} within ${timeoutMs} ms. Last events: ${seen.join('; ') || 'none'}.`));
    }, timeoutMs);
    const look = (): void => {
      if (holds()) resolve();
      else if (this.#closedBy !== null) reject(this.#closedBy);
    };
    this.#listeners.add(look);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#listeners.delete(look);
    });
  }

  #takeMessage(message: ServerMessage): void {
    if (message.kind === 'greeting') this.#isGreeted = true;
    else if (message.kind === 'event') {
      this.events.push({ event: message.name, data: withRoundedNumbers(message.data) as JsonObject });
    } else this.#pendingFor(message)?.resolve(message);
    if (this.events.length > EVENTS_MAX) this.#socket.destroy(new Error('Too many QMP events.'));
    this.#wakeListeners();
  }

  /** A command that is not JSON for the server is answered without an id: it is the oldest one. */
  #pendingFor({ id }: QmpReply): PendingReply | undefined {
    return id === undefined ? [...this.#pending.values()][0] : this.#pending.get(String(id));
  }

  #close(reason: Error): void {
    this.#closedBy ??= reason;
    for (const pending of this.#pending.values()) pending.reject(this.#closedBy);
    this.#wakeListeners();
  }

  #wakeListeners(): void {
    for (const look of [...this.#listeners]) look();
  }
}
