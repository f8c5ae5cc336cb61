import { Type } from 'typebox';

/** A 64-bit integer. JSON has it exactly; in memory it is a bigint where a number would be rounded. */
export const Int64 = (options: { readonly description?: string; readonly 'x-features'?: readonly string[] } = {}) =>
  Type.Unsafe<number | bigint>({ type: 'integer', format: 'int64', ...options });

type Described = { readonly description?: string };

/** A point in time: ISO 8601 in UTC. */
export const Timestamp = (options: Described = {}) => Type.String({ format: 'date-time', ...options });

/** An identifier in the form of RFC 9562. */
export const Uuid = (options: Described = {}) => Type.String({ format: 'uuid', ...options });

/** The arguments of a command without arguments, and the QMP result of a command without a result. */
export const Empty = Type.Object({}, { additionalProperties: false });

/** Longest name or text that a client may give, in characters. */
export const TEXT_LENGTH_MAX = 4096;

export const Text = (description?: string) =>
  Type.String({ maxLength: TEXT_LENGTH_MAX, ...(description === undefined ? {} : { description }) });
