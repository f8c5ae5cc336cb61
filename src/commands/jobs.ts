import type { JobVerb } from '../domain/jobs/job-lifecycle.ts';
import { command } from './command.ts';
import { timeRangeOf } from './findings.ts';
import { Empty } from './schemas/common.ts';
import { PAGE_LIMIT_DEFAULT } from './schemas/history.ts';
import { Job, JobHistoryQuery, JobId, JobInfoList, JobList, JobPage } from './schemas/jobs.ts';
import { jobInfoView, jobView } from './views/job-view.ts';

/* Jobs: the listed ones, the history, and the verbs that control a job. */

export const queryJobs = command({
  name: 'query-jobs',
  summary: 'The jobs that have not been dismissed, in the form of QAPI',
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
  summary: 'The jobs that have not been dismissed',
  qapi: null,
  role: 'viewer',
  arguments: Empty,
  result: JobList,
  run: ({ jobs }) => ({ jobs: jobs.list().map(jobView) }),
});

export const queryJob = command({
  name: 'x-ferry-query-job',
  summary: 'One job, from the list or the history',
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

export const jobCancel = verb('cancel', 'Cancel a job and undo its work');
export const jobPause = verb('pause', 'Pause a job');
export const jobResume = verb('resume', 'Resume a paused job');
export const jobComplete = verb('complete', 'Complete a job that is ready');
export const jobFinalize = verb('finalize', 'Finalize a job that is pending');
export const jobDismiss = verb('dismiss', 'Remove a concluded job from the list; it stays in the history');

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
