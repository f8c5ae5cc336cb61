import type { EventHub } from '../events.ts';
import { SERVICE_STOPPED } from '../migration/recovery.ts';
import type { Clock } from '../ports.ts';
import type { JobRecord, Store } from '../store-ports.ts';
import type { Jobs } from './jobs.ts';
import { emitJobStatus } from './journal.ts';

type Recovery = {
  readonly store: Store;
  readonly clock: Clock;
  readonly events: EventHub;
  readonly jobs: Jobs;
};

/**
 * Concludes what a service that stopped left open: those jobs have failed, and are listed until they are dismissed.
 * @returns the jobs whose work may have left something half-done, oldest first. Every start returns them again, until
 * `jobPutRight` was called: a recovery may be interrupted too.
 */
export function recoverJobs(recovery: Recovery): readonly JobRecord[] {
  const concluded = recovery.store.jobs.open().map((left) => (left.outcome === null ? conclude(recovery, left) : left));
  return concluded.filter(({ phase }) => phase !== null);
}

function conclude({ store, clock, events, jobs }: Recovery, left: JobRecord): JobRecord {
  const concluded: JobRecord = {
    ...left,
    status: 'concluded',
    outcome: 'failed',
    endedAt: clock.now(),
    errorCode: SERVICE_STOPPED,
    errorDescription: `The service stopped during this job, which was in state '${left.status}'.`,
  };
  events.commit((emit) => {
    store.jobs.save(concluded);
    emitJobStatus(emit, concluded);
  });
  jobs.adopt(concluded);
  return concluded;
}

/** Says that what an interrupted job left half-done has been put right. */
export function jobPutRight({ store }: Pick<Recovery, 'store'>, interrupted: JobRecord): void {
  store.jobs.save({ ...interrupted, phase: null });
}
