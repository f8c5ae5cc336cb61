/**
 * What one client, and all of them together, may take. Named in docs/limits.md; tests make them smaller. Sizes in bytes.
 */
export type QmpLimits = {
  /** One message, from its first byte to its last: as in QEMU. A longer one ends the connection. */
  readonly messageBytesMax: number;
  /** Arrays and objects inside each other, as in QEMU. */
  readonly depthMax: number;
  /** Members and array elements in one message. */
  readonly valuesMax: number;
  /** Members of one object. */
  readonly membersMax: number;
  /** Bytes of messages not yet complete, all clients of a listener together. */
  readonly heldBytesMax: number;
  /** Commands of one client that wait for their turn; while there are as many, nothing more is read from it. */
  readonly queueMax: number;
  /** Bytes that a client may lag behind in reading before it is cut. */
  readonly outputBytesMax: number;
  /** Clients of one listener; one more is closed at once. */
  readonly clientsMax: number;
  /** Messages answered in a row before others get their turn. */
  readonly answersPerTurn: number;
  /** Time that a closing listener gives to answers under way, in milliseconds. */
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
  if (limits.heldBytesMax < limits.messageBytesMax) throw new RangeError('one message alone would be too much');
  if (limits.queueMax < 1 || limits.answersPerTurn < 1) throw new RangeError('nothing would ever be answered');
}
