import type { TransferError } from '../../domain/ports/migration-session.ts';
import type { WaitPoint } from '../session/wait-point.ts';
import { ByteReader, IncompleteError, StreamError } from '../stream/byte-reader.ts';
import { decodeHeader } from '../stream/configuration.ts';
import type { OutgoingChannel } from './channel.ts';

/** What the first bytes of a connection are. */
export function judge(bytes: Uint8Array): 'header' | 'unfinished' | TransferError {
  try {
    decodeHeader(new ByteReader(bytes));
    return 'header';
  } catch (error) {
    if (error instanceof IncompleteError) return 'unfinished';
    if (!(error instanceof StreamError)) throw error;
    const { code, message } = error.at(0);
    return { code, message };
  }
}

export function headerCut(count: number): TransferError {
  const { code, message } = new StreamError('stream_truncated', 'the stream ends too early, in its header', count);
  return { code, message };
}

export function headerLate(count: number, headerMs: number): TransferError {
  const message = `nothing whole came for ${headerMs} ms (at byte ${count} of the stream, in its part 'header')`;
  return { code: 'deadline_exceeded', message };
}

export function atHeader({ code, message }: TransferError, count: number): TransferError {
  return { code, message: `${message} (at byte ${count} of the stream, in its part 'header')` };
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
