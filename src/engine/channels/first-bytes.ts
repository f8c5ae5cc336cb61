import type { TransferError } from '../../domain/ports/migration-session.ts';
import { ByteReader, IncompleteError, StreamError } from '../stream/byte-reader.ts';
import { decodeHeader } from '../stream/configuration.ts';

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
