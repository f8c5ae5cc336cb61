import { ByteReader, IncompleteError } from '../stream/byte-reader.ts';
import { decodeReverse, type ReverseMessage } from '../stream/return-path.ts';
import type { OutgoingChannel } from '../transport/channel.ts';
import type { Monitor } from './monitor.ts';

/** Bytes of an unfinished message that may be waiting: no message of precopy is longer. */
const WAITING_BYTES_MAX = 8;

/** The source's end of the return path: remembers what the target has said. */
export class ReversePath {
  /** Value of the SHUT message: null before it came, 0 if all is well there. */
  shut: number | null = null;
  hasSwitchoverAck = false;
  lastPong = 0;
  #waiting: Uint8Array = new Uint8Array();
  readonly #monitor: Monitor;

  constructor(channel: OutgoingChannel, monitor: Monitor) {
    this.#monitor = monitor;
    channel.onReverse((bytes) => this.#receive(bytes));
  }

  #receive(bytes: Uint8Array): void {
    const all = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    const reader = new ByteReader(all);
    let taken = 0;
    try {
      while (this.shut === null) {
        this.#apply(decodeReverse(reader));
        taken = reader.position;
      }
    } catch (error) {
      if (!(error instanceof IncompleteError) || all.length - taken > WAITING_BYTES_MAX) {
        const message = error instanceof Error ? error.message : String(error);
        this.#monitor.fail({ code: 'return_path_broken', message });
      }
    }
    this.#waiting = all.slice(taken);
    this.#monitor.notify();
  }

  #apply(message: ReverseMessage): void {
    if (message.type === 'shut') this.shut = message.value;
    else if (message.type === 'pong') this.lastPong = message.value;
    else this.hasSwitchoverAck = true;
    if (message.type === 'shut' && message.value !== 0) {
      this.#monitor.fail({
        code: 'target_refused',
        message: `the target reported error ${message.value} and did not take the guest`,
      });
    }
  }
}
