import type { FastifyReply } from 'fastify';
import type { Command } from '../commands/command.ts';
import * as commands from '../commands/jobs.ts';
import { Job, JobList, JobPage } from '../commands/schemas/jobs.ts';
import { jobEnded, watchJobs } from '../commands/waiting.ts';
import * as examples from './examples/jobs.ts';
import {
  LINK,
  NOT_MODIFIED,
  STATUS_CONDITIONAL_HEADERS,
  sendPage,
  sendWeaklyTagged,
  TAGGED,
  WAIT_GRANTED,
  waitOf,
} from './http/answers.ts';
import type { Call, Example, Operation } from './operation.ts';
import { sendJson } from './register.ts';

const UNTIL_ENDED = 'wait=SECONDS (60 at most): the answer comes when the job has ended';
const AS_IT_IS = { description: 'The job as it is now.', schema: Job };

export const jobsOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/jobs',
    id: 'queryJobs',
    tag: 'jobs',
    command: commands.queryAllJobs,
    covers: [commands.queryJobs],
    description:
      'Newest first: all that wait or run, and the newest 100 of those that have concluded and were not dismissed. ' +
      'Asking is cheap.',
    input: 'query',
    headers: STATUS_CONDITIONAL_HEADERS,
    replies: { 200: { description: 'The jobs now.', schema: JobList, headers: TAGGED }, 304: NOT_MODIFIED },
    errors: [],
    examples: examples.queryJobs,
    handle: (call) => sendWeaklyTagged(call, watchJobs(call.context.domain)),
  },
  {
    method: 'GET',
    path: '/jobs/history',
    id: 'queryJobHistory',
    tag: 'jobs',
    command: commands.queryJobHistory,
    description:
      'Dismissed or not. Jobs that run are not among them. With started-after or started-before those that started then, ' +
      'in the order of their starts.',
    input: 'query',
    replies: { 200: { description: 'A page of jobs.', schema: JobPage, headers: LINK } },
    errors: ['invalid_cursor', 'wrong_type', 'value_out_of_range'],
    examples: examples.queryJobHistory,
    handle: sendPage,
  },
  {
    method: 'GET',
    path: '/jobs/:id',
    id: 'queryJob',
    tag: 'jobs',
    command: commands.queryJob,
    description: 'Of several jobs that had this id, the newest.',
    input: 'query',
    headers: {
      ...STATUS_CONDITIONAL_HEADERS,
      Prefer: `${UNTIL_ENDED}; with If-None-Match, when something changes (until=status: when a status changes).`,
    },
    replies: { 200: { description: 'The job now.', schema: Job, headers: TAGGED }, 304: NOT_MODIFIED },
    errors: ['job_not_found'],
    examples: examples.queryJob,
    handle: sendJob,
  },
  verb(commands.jobCancel, {
    id: 'jobCancel',
    description:
      'A job that waits is over at once; the work of one that runs takes back what it has done. outcome tells whether ' +
      'the cancel won: work that was done before it came stays done.',
    headers: { Prefer: `${UNTIL_ENDED}.` },
    replies: { 200: { ...AS_IT_IS, headers: WAIT_GRANTED } },
    errors: ['job_not_cancellable'],
    examples: examples.jobCancel,
    handle: sendCancelled,
  }),
  verb(commands.jobPause, {
    id: 'jobPause',
    description: 'The job keeps what it has for itself. One that waits does not begin before it is resumed.',
    examples: examples.jobPause,
  }),
  verb(commands.jobResume, {
    id: 'jobResume',
    description: 'A job that was paused goes on.',
    examples: examples.jobResume,
  }),
  verb(commands.jobComplete, {
    id: 'jobComplete',
    description: 'Ends a job that is ready. Snapshot jobs complete by themselves.',
    examples: examples.jobComplete,
  }),
  verb(commands.jobFinalize, {
    id: 'jobFinalize',
    description: 'Ends a job that is pending. Snapshot jobs finalize themselves.',
    examples: examples.jobFinalize,
  }),
  verb(commands.jobDismiss, {
    id: 'jobDismiss',
    description: 'Its id may be used again.',
    examples: examples.jobDismiss,
  }),
];

type Verb = Partial<Operation> & { readonly id: string; readonly examples: readonly Example[] };

/** `POST /jobs/ID/VERB` for the command `job-VERB`. */
function verb(command: Command, { errors = [], ...rest }: Verb): Operation {
  return {
    method: 'POST',
    path: `/jobs/:id/${command.name.replace('job-', '')}`,
    tag: 'jobs',
    command,
    input: 'nothing',
    replies: { 200: AS_IT_IS },
    errors: ['job_not_found', 'job_verb_not_allowed', ...errors],
    ...rest,
  };
}

async function sendJob(call: Call): Promise<FastifyReply> {
  const isConditional = call.request.headers['if-none-match'] !== undefined;
  // Also where there is no wait: a job that is not there has no tag.
  await endOf(call, isConditional ? 0 : (waitOf(call) ?? 0));
  return sendWeaklyTagged(call, watchJobs(call.context.domain));
}

async function sendCancelled(call: Call): Promise<FastifyReply> {
  const cancelled = await call.run();
  const wait = waitOf(call);
  return sendJson(call.reply, wait === null ? cancelled : await endOf(call, wait));
}

async function endOf(call: Call, waitSeconds: number): Promise<unknown> {
  const { id } = call.request.params as { readonly id: string };
  const { job } = await jobEnded(call.context.domain, id, { timeoutMs: waitSeconds * 1000, signal: call.signal });
  return job;
}
