import type { JobVerb } from '../domain/jobs/lifecycle.ts';
import { command } from './command.ts';
import { timeRangeOf } from './findings.ts';
import { Empty } from './schemas/common.ts';
import { PAGE_LIMIT_DEFAULT } from './schemas/history.ts';
import { Job, JobHistoryQuery, JobId, JobInfoList, JobList, JobPage } from './schemas/jobs.ts';
import { jobInfoView, jobView } from './views/job.ts';

/* Jobs: what there are, what became of earlier ones, and what they may be told. */

export const queryJobs = command({
  name: 'query-jobs',
  summary: 'The jobs that were not dismissed, as QAPI shows them',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: JobInfoList,
  run: ({ jobs }) =>
    jobs
      .list()
      .map(jobInfoView)
      .filter((info) => info !== null),
});

export const queryAllJobs = command({
  name: 'x-ferry-query-jobs',
  summary: 'The jobs that were not dismissed',
  qapi: null,
  role: 'viewer',
  arguments: Empty,
  result: JobList,
  run: ({ jobs }) => ({ jobs: jobs.list().map(jobView) }),
});

export const queryJob = command({
  name: 'x-ferry-query-job',
  summary: 'One job, listed or in the history',
  qapi: null,
  role: 'viewer',
  arguments: JobId,
  result: Job,
  run: ({ jobs }, { id }) => jobView(jobs.get(id)),
});

export const queryJobHistory = command({
  name: 'x-ferry-query-job-history',
  summary: 'The jobs that have ended, newest first',
  qapi: null,
  role: 'viewer',
  arguments: JobHistoryQuery,
  result: JobPage,
  run: ({ jobs }, { limit = PAGE_LIMIT_DEFAULT, cursor = null, type, outcome, node, ...range }) => {
    const page = jobs.history({
      limit,
      cursor,
      ...timeRangeOf(range),
      ...(type === undefined ? {} : { type }),
      ...(outcome === undefined ? {} : { outcome }),
      ...(node === undefined ? {} : { resource: `node:${node}` }),
    });
    return { jobs: page.items.map(jobView), next: page.next };
  },
});

export const jobCancel = verb('cancel', 'Cancel a job: what it has done so far is taken back');
export const jobPause = verb('pause', 'Let the work of a job stand still');
export const jobResume = verb('resume', 'Let the work of a paused job go on');
export const jobComplete = verb('complete', 'Let a job that is ready come to its end');
export const jobFinalize = verb('finalize', 'Let a job that does not finalize by itself conclude');
export const jobDismiss = verb('dismiss', 'Take a concluded job off the list; it stays in the history');

function verb(name: JobVerb, summary: string) {
  return command({
    name: `job-${name}`,
    summary,
    qapi: { returns: 'nothing' },
    role: 'operator',
    arguments: JobId,
    result: Job,
    run: ({ jobs }, { id }) => jobView(jobs.apply(id, name)),
  });
}
