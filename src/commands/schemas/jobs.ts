import { Type } from 'typebox';
import { JOB_OUTCOMES, JOB_STATUSES } from '../../domain/jobs/job-lifecycle.ts';
import { Int64, Text, Timestamp } from './common.ts';
import { paging, timeRange } from './history.ts';

/* Jobs: as QAPI has them, and as they are shown over HTTP. Times are ISO 8601 in UTC, durations milliseconds. */

const closed = { additionalProperties: false };
const orNull = <S extends Parameters<typeof Type.Array>[0]>(schema: S) => Type.Union([schema, Type.Null()]);

/** JobType of the QAPI schema. We have jobs of other types too, which only HTTP shows. */
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
  'current-progress': Int64({ description: 'Done; it only grows.' }),
  'total-progress': Int64({ description: 'To be done, as far as is known; it may grow.' }),
};
const error = Type.Optional(Type.String({ description: 'Why it failed or was cancelled; absent if it was not.' }));

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
  type: Type.String({ description: 'As in QAPI, or snapshot-verify or snapshot-compact.' }),
  status: JobStatus,
  paused: Type.Boolean({
    description: 'It was told to pause, and not to resume: it stands still, or will where its work next can.',
  }),
  'waiting-for': Type.Array(Type.String(), {
    description:
      'While it has not begun: the jobs that it waits for, the next ahead of it for each thing that it needs. ' +
      'Empty once it has begun.',
  }),
  ...progress,
  error,
  'error-code': Type.Optional(Type.String({ description: 'Stable; /errors/CODE explains it.' })),
  outcome: orNull(JobOutcome),
  warnings: Type.Array(Type.String()),
  'created-at': Timestamp(),
  'started-at': orNull(Timestamp({ description: 'When it had what it needed, and its work began.' })),
  'ended-at': orNull(Timestamp()),
  duration: orNull(Int64({ description: 'From its start to its end, or until now, pauses included.' })),
  details: Type.Unsafe<Readonly<Record<string, unknown>>>({ ...Any, description: 'What it was asked to do.' }),
  result: Type.Unsafe<Readonly<Record<string, unknown>> | null>({ ...orNull(Any), description: 'What came of it.' }),
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
