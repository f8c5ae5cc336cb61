/** The domain as the doors see it. */

export type { Domain } from '../domain/domain.ts';
export { RUN_STATES } from '../domain/guest/run-state.ts';
export type { KeptAnswer, KeyedRequest } from '../domain/idempotency.ts';
export { JOB_OUTCOMES, JOB_STATUSES } from '../domain/jobs/status.ts';
export { MIGRATION_OUTCOMES, MIGRATION_STATUSES } from '../domain/migration/status.ts';
export { VERDICTS } from '../domain/migration/verdict.ts';
export type { EventRecord } from '../domain/ports/store.ts';
