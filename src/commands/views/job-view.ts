import type { Static } from 'typebox';
import type { JobView } from '../../domain/jobs/job-spec.ts';
import type { JobRecord } from '../../domain/ports/store.ts';
import { type Job, type JobInfo, QAPI_JOB_TYPES } from '../schemas/jobs.ts';

/** A job as HTTP shows it: the members of QAPI and additional ones. */
export function jobView(job: JobView): Static<typeof Job> {
  const { warnings, outcome, errorCode, details, result, status, isPaused, waitsFor } = job;
  return {
    ...common(job),
    type: job.type,
    // The stored status changes only when the work has paused. HTTP shows the pause at once.
    status: isPaused && status === 'running' ? 'paused' : status,
    paused: isPaused,
    'waiting-for': [...waitsFor],
    ...(errorCode === null ? {} : { 'error-code': errorCode }),
    outcome,
    warnings: [...warnings],
    'created-at': timeView(job.createdAt),
    'started-at': timeViewOrNull(job.startedAt),
    'ended-at': timeViewOrNull(job.endedAt),
    duration: job.durationMs,
    details,
    result,
  };
}

/** A job as JobInfo of the QAPI schema; null for a job type that QAPI does not have. */
export function jobInfoView(job: JobRecord): Static<typeof JobInfo> | null {
  const type = QAPI_JOB_TYPES.find((known) => known === job.type);
  return type === undefined ? null : { ...common(job), type, status: job.status };
}

function common({ id, currentProgress, totalProgress, errorCode, errorDescription }: JobRecord) {
  return {
    id,
    'current-progress': currentProgress,
    'total-progress': totalProgress,
    ...(errorCode === null ? {} : { error: errorDescription ?? errorCode }),
  };
}

function timeViewOrNull(milliseconds: number | null): string | null {
  return milliseconds === null ? null : timeView(milliseconds);
}

function timeView(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
