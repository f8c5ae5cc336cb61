/**
 * What one client, and all of them together, may take. Named in docs/limits.md; tests make them shorter.
 * Times are milliseconds, sizes bytes.
 */
export type HttpLimits = {
  /** A whole request, headers and body, from its first byte. */
  readonly requestTimeoutMs: number;
  readonly headersTimeoutMs: number;
  /** A new connection on which no byte has come. */
  readonly silenceTimeoutMs: number;
  /** How often Node looks for requests that took longer. */
  readonly connectionsCheckMs: number;
  /** A connection on which nothing moves at all: longer than the longest wait that a client may ask for. */
  readonly connectionTimeoutMs: number;
  /** A connection between two requests. */
  readonly keepAliveTimeoutMs: number;
  readonly bodyBytesMax: number;
  readonly headerBytesMax: number;
  readonly connectionsMax: number;
  /** Characters of one part of a path that names something. */
  readonly parameterLengthMax: number;
  /** Longest `Prefer: wait`, in seconds. */
  readonly waitSecondsMax: number;
  /** Wrong tokens that one address may send at once, and a second from then on. */
  readonly wrongTokensBurst: number;
  readonly wrongTokensPerSecond: number;
  /** The same for requests of one caller that begin something. */
  readonly beginningsBurst: number;
  readonly beginningsPerSecond: number;
  /** Addresses or callers that each of the two remembers. */
  readonly rateLimitedAddressesMax: number;
  readonly eventStreamsMax: number;
  /** Bytes of events that may happen while an event stream's reader takes nothing; then it is cut. */
  readonly eventBufferBytesMax: number;
  /** Events read from the log in one go while a client catches up. */
  readonly eventPageMax: number;
  readonly eventHeartbeatMs: number;
  /** Time that a closing service gives to answers under way. */
  readonly closeGraceMs: number;
};

export const HTTP_LIMITS: HttpLimits = {
  requestTimeoutMs: 30_000,
  headersTimeoutMs: 10_000,
  silenceTimeoutMs: 4000,
  connectionsCheckMs: 1000,
  connectionTimeoutMs: 75_000,
  keepAliveTimeoutMs: 5000,
  bodyBytesMax: 2 ** 20,
  headerBytesMax: 16 * 1024,
  connectionsMax: 2048,
  parameterLengthMax: 256,
  waitSecondsMax: 60,
  wrongTokensBurst: 20,
  wrongTokensPerSecond: 1,
  beginningsBurst: 2000,
  beginningsPerSecond: 100,
  rateLimitedAddressesMax: 1024,
  eventStreamsMax: 1024,
  eventBufferBytesMax: 2 ** 20,
  eventPageMax: 256,
  eventHeartbeatMs: 15_000,
  closeGraceMs: 2000,
};

/** @throws RangeError if the limits contradict each other. */
export function assertLimits(limits: HttpLimits): void {
  if (limits.headersTimeoutMs > limits.requestTimeoutMs) throw new RangeError('headers may not outlast their request');
  if (limits.connectionTimeoutMs <= limits.waitSecondsMax * 1000) throw new RangeError('a wait would be cut off');
  if (limits.connectionTimeoutMs <= limits.eventHeartbeatMs) throw new RangeError('an event stream would be cut off');
}
