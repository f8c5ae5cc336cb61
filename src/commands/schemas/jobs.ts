import { Type } from 'typebox';
import { JOB_OUTCOMES, JOB_STATUSES } from '../../domain/jobs/job-lifecycle.ts';
import { Int64, Text, Timestamp } from './common.ts';
import { paging, timeRange } from './history.ts';

/* Jobs as QAPI and HTTP show them. Times are ISO 8601 in UTC, durations are in milliseconds. */

const closed = { additionalProperties: false };
const orNull = <S extends Parameters<typeof Type.Array>[0]>(schema: S) => Type.Union([schema, Type.Null()]);

/** JobType of the QAPI schema. vmferry has further types, which only HTTP shows. */
export const QAPI_JOB_TYPES = [
  'commit',
  'stream',
  'mirror',
  'backup',
  'create',
  'amend',
  'snapshot-load',
  'snapshot-save',
  'snapshot-delete',
] as const;

export const JobStatus = Type.Enum([...JOB_STATUSES]);
export const JobOutcome = Type.Enum([...JOB_OUTCOMES]);

const progress = {
  'current-progress': Int64({ description: 'The completed work. It never decreases.' }),
  'total-progress': Int64({ description: 'The total work as far as it is known. It can increase.' }),
};
const error = Type.Optional(Type.String({ description: 'Why the job failed or was cancelled; absent otherwise.' }));

export const JobInfo = Type.Object({
  id: Type.String(),
  type: Type.Enum([...QAPI_JOB_TYPES]),
  status: Type.Enum(['undefined', ...JOB_STATUSES]),
  ...progress,
  error,
});
export const JobInfoList = Type.Array(JobInfo);

const Any = Type.Record(Type.String(), Type.Unknown());

export const Job = Type.Object({
  id: Type.String(),
  type: Type.String({ description: 'A job type of QAPI, or snapshot-verify or snapshot-compact.' }),
  status: JobStatus,
  paused: Type.Boolean({
    description: 'True after a pause until a resume. The job is paused, or pauses as soon as its work allows.',
  }),
  'waiting-for': Type.Array(Type.String(), {
    description:
      'The jobs that this waiting job waits for: for each resource that it needs, the job directly ahead of it in the queue. ' +
      'Empty after the start.',
  }),
  ...progress,
  error,
  'error-code': Type.Optional(Type.String({ description: 'A stable error code; /errors/CODE explains it.' })),
  outcome: orNull(JobOutcome),
  warnings: Type.Array(Type.String()),
  'created-at': Timestamp(),
  'started-at': orNull(Timestamp({ description: 'Time at which the job had its resources and its work started.' })),
  'ended-at': orNull(Timestamp()),
  duration: orNull(Int64({ description: 'Time from the start to the end or until now, with pauses.' })),
  details: Type.Unsafe<Readonly<Record<string, unknown>>>({ ...Any, description: 'The arguments of the job.' }),
  result: Type.Unsafe<Readonly<Record<string, unknown>> | null>({
    ...orNull(Any),
    description: 'The result of the job.',
  }),
});

export const JobList = Type.Object({ jobs: Type.Array(Job) });
export const JobPage = Type.Object({
  jobs: Type.Array(Job),
  next: Type.Union([Type.String(), Type.Null()], { description: 'Cursor of the next page, or null at the end.' }),
});

export const JobId = Type.Object({ id: Text('Identifier of a job.') }, closed);

export const JobHistoryQuery = Type.Object(
  {
    ...paging,
    ...timeRange('started-at'),
    type: Type.Optional(Text('Only jobs of this type.')),
    outcome: Type.Optional(JobOutcome),
    node: Type.Optional(Text('Only jobs that worked on this block device node.')),
  },
  closed,
);
