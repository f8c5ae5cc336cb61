import type { IncomingChannel } from '../channels/channel.ts';
import { StreamError } from '../stream/bytes.ts';
import { encodeReverse, SHARED_ID_KNOWN, SharedIdReader } from '../stream/return-path.ts';

/** Answers that the sender has not taken, in bytes: one that asks and does not listen is let go. */
const UNSENT_ANSWERS_BYTES_MAX = 64 * 1024;

/** A target's answers to the pings of its sender, some of which tell the id that both sides share. */
export class PingAnswers {
  readonly #sharedId = new SharedIdReader();

  /**
   * Answers a ping.
   * @returns the shared id with the ping that completes it, once; otherwise null.
   * @throws StreamError if the sender takes no answers.
   */
  answer(value: number, channel: IncomingChannel | null): string | null {
    say(value, channel);
    const id = this.#sharedId.take(value);
    if (id !== null) say(SHARED_ID_KNOWN, channel);
    return id;
  }
}

function say(value: number, channel: IncomingChannel | null): void {
  if ((channel?.unsentBytes ?? 0) > UNSENT_ANSWERS_BYTES_MAX) {
    throw new StreamError('element_unexpected', 'the sender pings on and takes none of the answers');
  }
  channel?.write(encodeReverse({ type: 'pong', value }));
}
