import { stringifyJson } from '../../text/json.ts';

/*
 * Messages of QMP, for a server and for a client. A server sends a greeting, answers and events; a client sends requests. Each
 * message is one JSON object. The functions know neither commands nor sockets.
 */

/** A request as a client sends it. */
export type QmpRequest = {
  readonly name: string;
  readonly arguments: unknown;
  /** True for `exec-oob`: the server answers ahead of the requests that wait. */
  readonly isOutOfBand: boolean;
};

/** The member `id` of a message; absent if the message has none. */
export type MessageId = { readonly id?: unknown };

export type QmpAnswer =
  | (MessageId & { readonly return: unknown })
  | (MessageId & { readonly error: { readonly class: string; readonly desc: string } });

/** What a server sends, distinguished by `kind`. */
export type ServerMessage =
  | { readonly kind: 'greeting'; readonly version: unknown; readonly capabilities: readonly unknown[] }
  | { readonly kind: 'event'; readonly name: string; readonly data: JsonObject; readonly timestamp: unknown }
  | { readonly kind: 'result'; readonly id: unknown; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: unknown; readonly class: string; readonly description: string };

type JsonObject = Readonly<Record<string, unknown>>;

/** A message that is not valid, or a request that is refused: QMP's error class, and a sentence. */
export class QmpError extends Error {
  readonly qmpClass: string;

  constructor(message: string, qmpClass = 'GenericError') {
    super(message);
    this.name = 'QmpError';
    this.qmpClass = qmpClass;
  }
}

/** The bytes of a message, as text. Big integers and fractions keep their digits. */
export function encodeMessage(message: unknown): string {
  return `${stringifyJson(message)}\r\n`;
}

/** The message of a request. */
export function requestMessage({ name, arguments: given, isOutOfBand }: QmpRequest, id: unknown): JsonObject {
  return { [isOutOfBand ? 'exec-oob' : 'execute']: name, arguments: given, id };
}

/**
 * Reads a request.
 * @param takesOutOfBand whether the client has negotiated `oob`, so that it may send `exec-oob`
 * @throws QmpError if the value is not a request
 */
export function readRequest(value: unknown, takesOutOfBand: boolean): QmpRequest {
  if (!isObject(value)) throw new QmpError('A command has to be a JSON object.');
  const { execute, 'exec-oob': outOfBand, arguments: given = {}, id: _id, ...others } = value;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) throw new QmpError(`A command has no member '${unknown}'.`);
  if (outOfBand !== undefined && !takesOutOfBand) {
    throw new QmpError("The member 'exec-oob' is not allowed: the capability 'oob' was not negotiated.");
  }
  if (execute !== undefined && outOfBand !== undefined) {
    throw new QmpError("A command has one of the members 'execute' and 'exec-oob', not both.");
  }
  const name = execute ?? outOfBand;
  if (name === undefined) throw new QmpError("The member 'execute' is missing.");
  if (typeof name !== 'string')
    throw new QmpError(`The member '${execute === undefined ? 'exec-oob' : 'execute'}' has to be a string.`);
  if (!isObject(given)) throw new QmpError("The member 'arguments' has to be an object.");
  return { name, arguments: given, isOutOfBand: outOfBand !== undefined };
}

/** The `id` of a request, for its answer. */
export function idOf(value: unknown): MessageId {
  return isObject(value) && value.id !== undefined ? { id: value.id } : {};
}

/** Reads a message of a server. @throws QmpError if the value is not one */
export function readServerMessage(value: unknown): ServerMessage {
  const message = objectOr(value, 'A message of a server has to be a JSON object.');
  if ('return' in message) return { kind: 'result', id: message.id, value: message.return };
  if ('error' in message) {
    const { class: qmpClass, desc } = objectOr(message.error, "The member 'error' has to be an object.");
    return { kind: 'error', id: message.id, class: String(qmpClass), description: String(desc) };
  }
  if ('event' in message) {
    const data = objectOr(message.data ?? {}, "The member 'data' has to be an object.");
    return { kind: 'event', name: String(message.event), data, timestamp: message.timestamp };
  }
  const { version, capabilities } = objectOr(message.QMP, 'The message is not a greeting, an event or an answer.');
  if (!Array.isArray(capabilities)) throw new QmpError('The greeting has no list of capabilities.');
  return { kind: 'greeting', version, capabilities };
}

function objectOr(value: unknown, message: string): JsonObject {
  if (!isObject(value)) throw new QmpError(message);
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
