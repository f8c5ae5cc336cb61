import { DomainError, qmpClassOf } from '../commands/errors.ts';

/* What goes over the wire in both directions, without the commands in it. */

export type Answer =
  | { readonly return: unknown; readonly id?: unknown }
  | { readonly id?: unknown; readonly error: { readonly class: string; readonly desc: string } };

/** What a client asks for. */
export type Request = {
  readonly name: string;
  readonly arguments: unknown;
  readonly isOutOfBand: boolean;
};

/** A request that is none, or that cannot be answered otherwise: the class and the sentence that go back. */
export class QmpError extends Error {
  readonly qmpClass: string;

  constructor(message: string, qmpClass = 'GenericError') {
    super(message);
    this.name = 'QmpError';
    this.qmpClass = qmpClass;
  }
}

/**
 * Reads `{"execute", "arguments", "id"}`.
 * @param takesOutOfBand whether `exec-oob` may stand for `execute`.
 * @throws QmpError if it is something else.
 */
export function readRequest(value: unknown, takesOutOfBand: boolean): Request {
  if (!isObject(value)) throw new QmpError('What is sent has to be a JSON object.');
  const { execute, 'exec-oob': outOfBand, arguments: given = {}, id: _id, ...others } = value;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) throw new QmpError(`The member '${unknown}' is not known in a command.`);
  if (outOfBand !== undefined && !takesOutOfBand) {
    throw new QmpError("The member 'exec-oob' is not known: the capability 'oob' was not negotiated.");
  }
  if (execute !== undefined && outOfBand !== undefined) {
    throw new QmpError("Only one of the members 'execute' and 'exec-oob' may be there.");
  }
  const name = execute ?? outOfBand;
  if (name === undefined) throw new QmpError("The member 'execute' is missing.");
  if (typeof name !== 'string')
    throw new QmpError(`The member '${execute === undefined ? 'exec-oob' : 'execute'}' has to be a string.`);
  if (!isObject(given)) throw new QmpError("The member 'arguments' has to be an object.");
  return { name, arguments: given, isOutOfBand: outOfBand !== undefined };
}

/** The `id` of a request, as an answer gives it back: absent if it was. */
export function idOf(value: unknown): { readonly id?: unknown } {
  return isObject(value) && value.id !== undefined ? { id: value.id } : {};
}

/** The answer that says what went wrong; an error that is not ours is only said to be one. */
export function failure(id: { readonly id?: unknown }, error: unknown): Answer {
  if (error instanceof QmpError) return { ...id, error: { class: error.qmpClass, desc: error.message } };
  if (error instanceof DomainError) return { ...id, error: { class: qmpClassOf(error.code), desc: error.message } };
  return { ...id, error: { class: 'GenericError', desc: 'The service failed to answer; its log says more.' } };
}

export function isOurs(error: unknown): boolean {
  return error instanceof QmpError || error instanceof DomainError;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
