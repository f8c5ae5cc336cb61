/** The domain as the doors see it. */
export type { Domain } from '../domain/domain.ts';
export type { KeptAnswer, KeyedRequest } from '../domain/idempotency.ts';
export type { EventRecord } from '../domain/store-ports.ts';
