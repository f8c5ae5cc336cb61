// Many clients of one QMP socket, some of which stop reading.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const ASK = '{"execute":"query-version","id":"caught up"}\n';

/** One client, which stores the received events in order. */
export class QmpFollower {
  readonly #socket: Socket;
  readonly #answered: (() => void)[] = [];
  readonly events: string[] = [];
  isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
      for (const tell of this.#answered) tell();
    });
    createInterface({ input: socket }).on('line', (line) => {
      if (line.includes('"event"')) this.events.push(line);
      else this.#answered.shift()?.();
    });
  }

  /** Resolves when it may send commands. */
  static async connect(path: string): Promise<QmpFollower> {
    const socket = connect(path);
    await once(socket, 'connect');
    const follower = new QmpFollower(socket);
    const greeted = follower.#answer();
    await greeted;
    await follower.#ask('{"execute":"qmp_capabilities"}\n');
    return follower;
  }

  /** Resolves when it has received all events so far, or is closed. */
  async caughtUp(): Promise<void> {
    if (!this.isClosed) await this.#ask(ASK);
  }

  stopReading(): void {
    this.#socket.pause();
  }

  /** Reads the remaining data. Resolves when the other side has closed the connection. */
  async readToEnd(): Promise<void> {
    this.#socket.resume();
    if (!this.isClosed) await once(this.#socket, 'close');
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(line: string): Promise<void> {
    const answered = this.#answer();
    this.#socket.write(line);
    return answered;
  }

  #answer(): Promise<void> {
    return new Promise((resolve) => this.#answered.push(resolve));
  }
}
