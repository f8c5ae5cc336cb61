// Messages of a QMP server, decoded from a socket by the codec that the service uses too.

import type { Socket } from 'node:net';
import { type DecoderLimits, QmpDecoder } from '../../src/qmp/codec/qmp-decoder.ts';
import { stringifyJson } from '../../src/text/json.ts';

/** Limits of a message for a client; the answer to query-qmp-schema has more values than QMP_LIMITS allows a request. */
const LIMITS: DecoderLimits = {
  messageBytesMax: 16 * 2 ** 20,
  depthMax: 1024,
  valuesMax: 1_000_000,
  membersMax: 1000,
};

/**
 * Calls `take` with each message that the socket receives. Integers beyond 2^53 are bigints, and fractions are JsonFraction. A
 * message that is not JSON is an uncaught error, which fails the running test.
 */
export function readQmpMessages(socket: Socket, take: (message: unknown) => void): void {
  const decoder = new QmpDecoder(LIMITS);
  socket.on('data', (chunk: Buffer) => {
    decoder.push(chunk);
    for (let decoded = decoder.next(); decoded !== null; decoded = decoder.next()) {
      if (decoded.kind === 'refused') throw new Error(`The QMP server sent invalid JSON: ${decoded.reason}.`);
      take(decoded.value);
    }
  });
}

/** A decoded value as JSON.parse returns it: bigints and fractions become numbers, which may be rounded. */
export function withRoundedNumbers(value: unknown): unknown {
  return JSON.parse(stringifyJson(value));
}
