import type { TransferError } from '../../domain/ports/migration-session.ts';
import type { WaitPoint } from '../session/wait-point.ts';
import { ByteReader, IncompleteError } from '../stream/bytes.ts';
import { decodeReverse, type ReverseMessage, SHARED_ID_KNOWN } from '../stream/return-path.ts';
import type { OutgoingChannel } from './channel.ts';

/** Longest unfinished message that is kept, in bytes: no message of precopy is longer. */
const WAITING_BYTES_MAX = 8;
/** Messages beside answers to pings, at most. A target needs three: the shared id is known, switchover-ack, SHUT. */
const MESSAGES_MAX = 16;

/** The source's end of the return path: receives the messages of the target and keeps their values. */
export class ReversePath {
  /** Value of the SHUT message; null before it has come, 0 if the target has taken over the guest. */
  shut: number | null = null;
  hasSwitchoverAck = false;
  /** True once the peer has sent anything. */
  hasHeard = false;
  /** Called for each pong. @returns false if no ping with that value is unanswered. */
  onPong: (value: number) => boolean = () => false;
  /** Called once, when the target has confirmed the shared id of the migration. Only a vmferry does so. */
  onSharedIdKnown: () => void = () => {};
  #isSharedIdKnown = false;
  #waiting: Uint8Array = new Uint8Array();
  #messages = 0;
  #isBroken = false;
  readonly #waitPoint: WaitPoint;
  readonly #isHandedOver: () => boolean;

  /** @param isHandedOver false while the target cannot have the guest: SHUT 0 is an error then. */
  constructor(channel: OutgoingChannel, waitPoint: WaitPoint, isHandedOver: () => boolean) {
    this.#waitPoint = waitPoint;
    this.#isHandedOver = isHandedOver;
    channel.onReverse((bytes) => this.#receive(bytes));
  }

  #receive(bytes: Uint8Array): void {
    this.hasHeard = true;
    // Bytes behind SHUT, or behind a broken message, are ignored.
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

/** First bytes of an HTTP answer: the version, or the page itself from a server that answers in HTTP/0.9. */
const HTTP = ['HTTP', '<htm', '<HTM', '<!DO', '<!do'];
const HEAD_BYTES = 4;

/** The error for a peer whose first bytes are those of HTTP or TLS; null for all other bytes. */
export function otherProtocol(bytes: Uint8Array): TransferError | null {
  if (HTTP.includes(Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString('latin1'))) {
    return {
      code: 'peer_speaks_http',
      message: 'an HTTP server answers at this address: it is not that of a migration',
    };
  }
  // A TLS alert: type 21, version 3.x.
  if (bytes[0] === 21 && bytes[1] === 3) {
    return {
      code: 'peer_speaks_tls',
      message: 'a TLS server answers at this address: it is not that of a plain migration',
    };
  }
  return null;
}

/** Without a return path: fails the migration if the peer answers in HTTP or TLS, and ignores other answers. */
export function watchForOtherProtocol(channel: OutgoingChannel, waitPoint: WaitPoint): void {
  let head: Uint8Array = new Uint8Array();
  channel.onReverse((bytes) => {
    if (head.length >= HEAD_BYTES) return;
    head = Buffer.concat([head, bytes.subarray(0, HEAD_BYTES)]);
    const other = otherProtocol(head);
    if (other !== null) waitPoint.fail(other);
  });
}
