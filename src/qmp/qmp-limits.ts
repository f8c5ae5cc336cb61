import type { DecoderLimits } from './codec/qmp-decoder.ts';

/**
 * Limits of one QMP client, and of all clients of a listener. docs/limits.md lists them; tests use smaller ones. Sizes in bytes.
 * The length and the depth of a message are QEMU's.
 */
export type QmpLimits = DecoderLimits & {
  /** Bytes of incomplete messages of all clients. The client that exceeds it is disconnected. */
  readonly heldBytesMax: number;
  /** Commands of one client that wait. While so many wait, the service reads nothing more from the client. */
  readonly queueMax: number;
  /** Bytes of events that wait for a slow client. A client with more is disconnected. */
  readonly outputBytesMax: number;
  /** Clients of one listener. A further connection is closed at once. */
  readonly clientsMax: number;
  /** Messages of one client that are answered before other connections are served. */
  readonly answersPerTurn: number;
  /** Milliseconds that a closing listener waits for running commands. */
  readonly closeGraceMs: number;
};

export const QMP_LIMITS: QmpLimits = {
  messageBytesMax: 64 * 2 ** 20,
  depthMax: 1024,
  valuesMax: 100_000,
  membersMax: 1000,
  heldBytesMax: 256 * 2 ** 20,
  queueMax: 8,
  outputBytesMax: 2 * 2 ** 20,
  clientsMax: 128,
  answersPerTurn: 32,
  closeGraceMs: 2000,
};

/** @throws RangeError if the limits contradict each other. */
export function assertQmpLimits(limits: QmpLimits): void {
  if (limits.heldBytesMax < limits.messageBytesMax)
    throw new RangeError('heldBytesMax is smaller than messageBytesMax');
  if (limits.queueMax < 1 || limits.answersPerTurn < 1)
    throw new RangeError('queueMax and answersPerTurn must be at least 1');
}
