import type { Static, TSchema } from 'typebox';

/** What a command of the table answers: it may be the domain's own object, so it is only read. */
export type Answer<S extends TSchema> = DeepReadonly<Static<S>>;
type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
