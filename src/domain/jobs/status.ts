/** JobStatus of the QAPI schema, but `undefined`, which no job that can be seen has. */
export const JOB_STATUSES = [
  'created',
  'running',
  'paused',
  'ready',
  'standby',
  'waiting',
  'pending',
  'aborting',
  'concluded',
  'null',
] as const;

export type JobStatus = (typeof JOB_STATUSES)[number];

/** What came of a job. */
export const JOB_OUTCOMES = ['completed', 'failed', 'cancelled'] as const;
export type JobOutcome = (typeof JOB_OUTCOMES)[number];

/** True once nothing of the job will change any more. */
export function isConcluded(status: JobStatus): boolean {
  return status === 'concluded' || status === 'null';
}
