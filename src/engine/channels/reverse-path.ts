import type { TransferError } from '../../domain/ports/migration-session.ts';
import type { WaitPoint } from '../session/wait-point.ts';
import { ByteReader, IncompleteError } from '../stream/bytes.ts';
import { decodeReverse, type ReverseMessage, SHARED_ID_KNOWN } from '../stream/return-path.ts';
import type { OutgoingChannel } from './channel.ts';

/** Bytes of an unfinished message that may be waiting: no message of precopy is longer. */
const WAITING_BYTES_MAX = 8;
/** The target acknowledges the switchover and says how it ended, and answers pings; one that says far more is broken. */
const MESSAGES_MAX = 16;

/** The source's end of the return path: remembers what the target has said. */
export class ReversePath {
  /** Value of the SHUT message: null before it came, 0 if all is well there. */
  shut: number | null = null;
  hasSwitchoverAck = false;
  /** True once the peer has sent anything. */
  hasHeard = false;
  /** Told of each answer to a ping; false if none is awaited with that value. */
  onPong: (value: number) => boolean = () => false;
  /** Told, once, that the target is a vmferry and has read the id that both sides share. */
  onSharedIdKnown: () => void = () => {};
  #isSharedIdKnown = false;
  #waiting: Uint8Array = new Uint8Array();
  #messages = 0;
  #isBroken = false;
  readonly #waitPoint: WaitPoint;
  readonly #isHandedOver: () => boolean;

  /** `isHandedOver`: before, the target cannot have loaded the guest and has nothing good to say about it. */
  constructor(channel: OutgoingChannel, waitPoint: WaitPoint, isHandedOver: () => boolean) {
    this.#waitPoint = waitPoint;
    this.#isHandedOver = isHandedOver;
    channel.onReverse((bytes) => this.#receive(bytes));
  }

  #receive(bytes: Uint8Array): void {
    this.hasHeard = true;
    // What follows the last word, or a broken one, is nobody's.
    if (this.shut !== null || this.#isBroken) return;
    const all = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    const other = this.#messages === 0 ? otherProtocol(all) : null;
    if (other !== null) {
      this.#isBroken = true;
      this.#waitPoint.fail(other);
      return;
    }
    const reader = new ByteReader(all);
    let taken = 0;
    try {
      while (this.shut === null) {
        this.#apply(decodeReverse(reader));
        taken = reader.position;
      }
    } catch (error) {
      if (!(error instanceof IncompleteError) || all.length - taken > WAITING_BYTES_MAX) {
        this.#break(error instanceof Error ? error.message : String(error));
      }
    }
    if (!this.#isBroken) this.#waiting = all.slice(taken);
    this.#waitPoint.notify();
  }

  #apply(message: ReverseMessage): void {
    if (message.type === 'pong' && this.onPong(message.value)) return;
    this.#messages += 1;
    if (message.type === 'pong' && message.value === SHARED_ID_KNOWN) this.#sharedIdKnown();
    if (this.#messages > MESSAGES_MAX) throw new RangeError(`the target sent more than ${MESSAGES_MAX} messages`);
    if (message.type === 'switchover-ack') this.hasSwitchoverAck = true;
    else if (message.type === 'shut') this.#shutWith(message.value);
  }

  #sharedIdKnown(): void {
    if (this.#isSharedIdKnown) return;
    this.#isSharedIdKnown = true;
    this.onSharedIdKnown();
  }

  #shutWith(value: number): void {
    if (value === 0 && !this.#isHandedOver()) {
      throw new RangeError('the target said that it has the guest before the stream had ended');
    }
    this.shut = value;
    if (value === 0) return;
    this.#waitPoint.fail({
      code: 'target_refused',
      message: `the target reported error ${value} and did not take the guest`,
    });
  }

  #break(message: string): void {
    this.#isBroken = true;
    this.#waiting = new Uint8Array();
    this.#waitPoint.fail({ code: 'return_path_broken', message });
  }
}

/** How an answer of HTTP begins: with its version, or, of a server that answers as HTTP/0.9, with a page. */
const HTTP = ['HTTP', '<htm', '<HTM', '<!DO', '<!do'];
const HEAD_BYTES = 4;

/** The protocol of the server that answers at the address, if its first bytes are of HTTP or TLS; null otherwise. */
export function otherProtocol(bytes: Uint8Array): TransferError | null {
  if (HTTP.includes(Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString('latin1'))) {
    return {
      code: 'peer_speaks_http',
      message: 'an HTTP server answers at this address: it is not that of a migration',
    };
  }
  // An alert of TLS: type 21, version 3.x.
  if (bytes[0] === 21 && bytes[1] === 3) {
    return {
      code: 'peer_speaks_tls',
      message: 'a TLS server answers at this address: it is not that of a plain migration',
    };
  }
  return null;
}

/** Fails a migration without a return path once a server of another protocol answers. Every other answer is ignored. */
export function watchForOtherProtocol(channel: OutgoingChannel, waitPoint: WaitPoint): void {
  let head: Uint8Array = new Uint8Array();
  channel.onReverse((bytes) => {
    if (head.length >= HEAD_BYTES) return;
    head = Buffer.concat([head, bytes.subarray(0, HEAD_BYTES)]);
    const other = otherProtocol(head);
    if (other !== null) waitPoint.fail(other);
  });
}
