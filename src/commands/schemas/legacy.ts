import { Type } from 'typebox';
import { Int64 } from './common.ts';

/* What the commands of older schemas take and give. */

const closed = { additionalProperties: false } as const;

export const SizeArguments = Type.Object({ value: Int64({ description: 'Bytes, or bytes/s.' }) }, closed);

export const DowntimeArguments = Type.Object(
  { value: Type.Unsafe<unknown>({ type: 'number', description: 'Seconds, with a fraction if need be.' }) },
  closed,
);

export const CacheSize = Int64({ description: 'Bytes.' });
