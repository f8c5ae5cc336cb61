import { Type } from 'typebox';

/** A 64-bit integer: exact on the wire, a bigint in memory where a double would round. */
export const Int64 = (options: { readonly description?: string; readonly 'x-features'?: readonly string[] } = {}) =>
  Type.Unsafe<number | bigint>({ type: 'integer', format: 'int64', ...options });

type Described = { readonly description?: string };

/** A moment: ISO 8601 in UTC. */
export const Timestamp = (options: Described = {}) => Type.String({ format: 'date-time', ...options });

/** An identifier in the form of RFC 9562. */
export const Uuid = (options: Described = {}) => Type.String({ format: 'uuid', ...options });

/** What a command without arguments takes, and what QMP answers where there is nothing to say. */
export const Empty = Type.Object({}, { additionalProperties: false });

/** Names and texts that a client gives, at most. */
export const TEXT_LENGTH_MAX = 4096;

export const Text = (description?: string) =>
  Type.String({ maxLength: TEXT_LENGTH_MAX, ...(description === undefined ? {} : { description }) });
